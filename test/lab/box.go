package main

import (
	"context"
	"errors"
)

// The upstreams that the pinned modules are asked about.
const (
	kindModule       = "sigs.k8s.io/kind"
	kubernetesModule = "k8s.io/kubernetes"
	containerdModule = "github.com/containerd/containerd/v2"
	networkModule    = "github.com/containernetworking/plugins"
	istioModule      = "istio.io/istio"
)

// istioVersion is what the pinned commit of Istio was released as; as a Go
// module Istio has no release versions.
const istioVersion = "1.31.0"

// A box is the end of the graph: what the lab's caller wants.
type box struct {
	layout *artefact // every image of the box
	own    *artefact // the programs of this folder, pause and shim
}

// newBox lists what is made from what. Nothing is made yet; only the keys of
// what will be are known.
func newBox(ctx context.Context, c *cache) (*box, error) {
	pins, err := openModules(ctx, c.files, ".", "node", "kubernetes", "etcd", "istio")
	if err != nil {
		return nil, err
	}
	p := &plan{cache: c, pins: pins}
	version := p.version("kubernetes", kubernetesModule)

	programs := p.programs(version)
	envoy := p.add(envoyProgram())

	// Files that are not ours to compile.
	debian := p.add(debianRoot())
	kind := p.add(kindFiles(pins["."], p.version(".", kindModule)))

	// Images, each smoke-tested before it enters the cache.
	inside := p.add(kubernetesImages(kubernetesParts{
		version: version, debian: debian, kindFiles: kind,
		kubernetes: programs.kubernetes, etcd: programs.etcd, own: programs.own,
	}))
	node := p.add(nodeImage(nodeParts{
		version: version, debian: debian, kindFiles: kind, images: inside,
		kubernetes: programs.kubernetes, containerd: programs.containerd, network: programs.network, runc: programs.runc,
	}))
	pilot := p.add(pilotImage(istioVersion, programs.istio, debian))
	proxy := p.add(proxyImage(istioVersion, pins["istio"], programs.istio, envoy, debian))

	// For `devbox up --with observability`.
	prometheus := p.add(prometheusImage(p.add(debianPackages("prometheus packages", prometheusPackages...)), debian))
	zipkin := p.add(zipkinImage(p.add(zipkinProgram()), p.add(debianPackages("java packages", "openjdk-17-jre-headless")), debian))

	// A neighbour of a service, for the examples.
	postgres := p.add(postgresImage(p.add(debianPackages("postgres packages", postgresPackages...)), debian))

	layout := p.add(boxLayout(boxParts{
		kubernetes: version, istio: istioVersion, node: node, pilot: pilot, proxy: proxy,
		prometheus: prometheus, zipkin: zipkin, postgres: postgres,
	}))
	return &box{layout: layout, own: programs.own}, p.err
}

// boxPrograms are the Go programs of the box, in groups built alike.
type boxPrograms struct {
	own, kubernetes, etcd, containerd, network, runc, istio *artefact
}

// programs lists them, each group with the linker flags and tags that its
// upstream builds with.
func (p *plan) programs(kubernetes string) boxPrograms {
	node := p.pins["node"]
	return boxPrograms{
		own: p.add(programs{
			name: "own", module: p.pins["."],
			packages: []string{"./pause", "./shim"},
			files:    []string{"pause/main.go", "shim/main.go"},
		}.recipe()),
		kubernetes: p.add(programs{
			name: "kubernetes", module: p.pins["kubernetes"],
			packages: under("k8s.io/kubernetes/cmd/", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
				"kube-proxy", "kubelet", "kubeadm", "kubectl"),
			stamp: kubernetesStamp(kubernetes),
		}.recipe()),
		etcd: p.add(programs{
			name: "etcd", module: p.pins["etcd"],
			packages: []string{"go.etcd.io/etcd/server/v3", "github.com/coredns/coredns"},
		}.recipe()),
		containerd: p.add(programs{
			name: "containerd", module: node,
			packages: under(containerdModule+"/cmd/", "containerd", "containerd-shim-runc-v2", "ctr"),
			tags:     "no_aufs no_zfs no_btrfs no_devmapper",
			stamp:    map[string]string{containerdModule + "/version.Version": p.version("node", containerdModule)},
		}.recipe()),
		network: p.add(programs{
			name: "network", module: node,
			packages: under(networkModule+"/plugins/", "ipam/host-local", "main/loopback", "main/ptp", "meta/portmap"),
			stamp:    map[string]string{networkModule + "/pkg/utils/buildversion.BuildVersion": p.version("node", networkModule)},
		}.recipe()),
		runc: p.add(programs{
			name: "runc", module: node,
			packages: []string{"github.com/opencontainers/runc"},
			tags:     "seccomp netgo osusergo", static: true,
			debian: []string{"gcc", "libc6-dev", "libseccomp-dev", "pkg-config"},
		}.recipe()),
		istio: p.add(programs{
			name: "istio", module: p.pins["istio"],
			packages: under("istio.io/istio/pilot/cmd/", "pilot-agent", "pilot-discovery"),
			stamp:    map[string]string{"istio.io/istio/pkg/version.buildVersion": istioVersion},
		}.recipe()),
	}
}

// A plan enters recipes into the cache and reads pinned versions. It keeps its
// first errors for the end, so that the list above reads as a list.
type plan struct {
	cache *cache
	pins  map[string]goModule
	err   error
}

func (p *plan) add(r recipe) *artefact {
	a, err := p.cache.add(r)
	p.err = errors.Join(p.err, err)
	return a
}

func (p *plan) version(pin, module string) string {
	version, err := p.pins[pin].version(module)
	p.err = errors.Join(p.err, err)
	return version
}

// under joins package paths to what they have in common.
func under(prefix string, names ...string) []string {
	var packages []string
	for _, name := range names {
		packages = append(packages, prefix+name)
	}
	return packages
}
