package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// nodeParts are what the node image is made of.
type nodeParts struct {
	version                               string
	debian, kindFiles, images             *artefact
	kubernetes, containerd, network, runc *artefact
}

// nodeImage is the kind node image, in three layers: Debian, the node's own
// programs and files, and containerd's store with the Kubernetes images.
func nodeImage(p nodeParts) recipe {
	return recipe{
		name:  "node image",
		needs: []*artefact{p.debian, p.kindFiles, p.images, p.kubernetes, p.containerd, p.network, p.runc},
		text:  []string{p.version},
		files: []string{"node.go", "store.go", "tree.go", "image.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			img, err := p.image(ctx, b)
			if err != nil {
				return err
			}
			if err := smoke(ctx, b, img, p.probes()...); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// image puts the layers together.
func (p nodeParts) image(ctx context.Context, b *bench) (v1.Image, error) {
	debian, err := plain(p.debian.path("layer.tar"))
	if err != nil {
		return nil, err
	}
	programs, err := p.programs(ctx, b)
	if err != nil {
		return nil, err
	}
	programsLayer, err := treeLayer(b, programs, plain)
	if err != nil {
		return nil, err
	}
	store, err := imageStore(ctx, b, p.containerd, p.images)
	if err != nil {
		return nil, fmt.Errorf("importing the Kubernetes images: %w", err)
	}
	storeLayer, err := treeLayer(b, store, plain)
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
		Env:        []string{"container=docker"}, // tells systemd where it is
		StopSignal: "SIGRTMIN+3",                 // ends systemd; SIGTERM would restart it
	}, debian, programsLayer, storeLayer)
}

// programs is the layer with kind's files, Kubernetes, containerd and the
// network plug-ins.
func (p nodeParts) programs(ctx context.Context, b *bench) (*tree, error) {
	t := newTree()
	for dir, mode := range map[string]os.FileMode{"etc": 0o644, "usr/local/bin": 0o755, "kind/bin": 0o755} {
		if err := t.addDir("/"+dir, p.kindFiles.path(dir), mode); err != nil {
			return nil, err
		}
	}
	for _, unit := range []string{"kubelet.service", "containerd.service", "undo-mount-hacks.service"} {
		if err := t.enable(unit); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"kubelet", "kubeadm", "kubectl"} {
		t.file("/usr/bin/"+name, p.kubernetes.path(name), 0o755)
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		t.file("/usr/local/bin/"+name, p.containerd.path(name), 0o755)
	}
	for _, name := range networkPlugins {
		t.file("/opt/cni/bin/"+name, p.network.path(name), 0o755)
	}
	t.file("/usr/local/sbin/runc", p.runc.path("runc"), 0o755)
	return t, p.configure(ctx, b, t)
}

// configure adds the files that differ from kind's or that kind generates.
func (p nodeParts) configure(ctx context.Context, b *bench, t *tree) error {
	config, err := os.ReadFile(p.kindFiles.path(containerdConfig))
	if err != nil {
		return err
	}
	t.data("/"+containerdConfig, 0o644, []byte(cgroupsByFile(keepOOMScores(string(config)))))
	spec, err := b.output(b.command(ctx, p.containerd.path("ctr"), "oci", "spec"))
	if err != nil {
		return err
	}
	if spec, err = containerSpec(spec); err != nil {
		return fmt.Errorf("changing containerd's default container: %w", err)
	}
	t.data("/etc/containerd/cri-base.json", 0o644, spec)
	t.data("/etc/cni/net.d/10-box.conflist", 0o644, []byte(networkConfig))
	t.data("/kind/version", 0o644, []byte(p.version+"\n"))
	t.data("/kind/manifests/default-cni.yaml", 0o644, []byte("---\n"))
	t.data("/kind/manifests/default-storage.yaml", 0o644, []byte(storageClass))
	t.folder("/etc/kubernetes/manifests", 0o755)
	return nil
}

// networkPlugins are what networkConfig names, and what every pod needs.
var networkPlugins = []string{"host-local", "loopback", "portmap", "ptp"}

// networkConfig is the pod network of the one node: with it the node needs no
// network DaemonSet, whose image would be one more to build.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "box",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": true,
      "mtu": 1500,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "10.244.0.0/24"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// storageClass stands in for kind's local-path provisioner, whose image cannot
// be had from packages. kind applies this file and fails on an empty one.
const storageClass = `apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations:
    storageclass.kubernetes.io/is-default-class: "true"
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
`

// keepOOMScores tells containerd not to ask for OOM scores below its own, which
// a host without CAP_SYS_RESOURCE refuses. Elsewhere it changes nothing, since
// containerd's own score is the lowest.
func keepOOMScores(config string) string {
	return strings.Replace(config, "restrict_oom_score_adj = false", "restrict_oom_score_adj = true", 1)
}

// cgroupsByFile lets containerd make the cgroups of containers itself, and not
// by way of systemd; the kubelet asks containerd which of the two it is. With
// systemd and cgroup v1 runc freezes every container before it starts it, which
// that version's freezer cannot always do. The start then fails with "unable to
// freeze".
func cgroupsByFile(config string) string {
	return strings.ReplaceAll(config, "SystemdCgroup = true", "SystemdCgroup = false")
}

// containerSpec makes of containerd's default container the one that kind
// starts pods from: without resource limits of its own, and with the hook that
// hides the host's product name.
func containerSpec(spec []byte) ([]byte, error) {
	var object map[string]any
	if err := json.Unmarshal(spec, &object); err != nil {
		return nil, err
	}
	process, ok := object["process"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no process in it")
	}
	delete(process, "rlimits")
	object["hooks"] = map[string]any{
		"createContainer": []any{map[string]any{"path": "/kind/bin/mount-product-files.sh"}},
	}
	return json.Marshal(object)
}

// probes start every program that the node cannot boot without.
func (p nodeParts) probes() []probe {
	probes := []probe{
		says("Kubernetes "+p.version, "/usr/bin/kubelet", "--version"),
		says(p.version, "/usr/bin/kubeadm", "version", "--output=short"),
		says(p.version, "/usr/bin/kubectl", "version", "--client"),
		says("containerd", "/usr/local/bin/containerd", "--version"),
		says("containerd", "/usr/local/bin/containerd-shim-runc-v2", "-v"),
		says("ctr", "/usr/local/bin/ctr", "--version"),
		says("runc", "/usr/local/sbin/runc", "--version"),
		says("systemd 252", "/usr/lib/systemd/systemd", "--version"),
		restore(kubeProxyRules, "reject-with icmp-port-unreachable"),
	}
	for _, name := range networkPlugins {
		probes = append(probes, says("CNI "+name, "/opt/cni/bin/"+name))
	}
	for _, args := range [][]string{
		{"/usr/sbin/iptables-legacy-save", "--version"}, {"/usr/sbin/iptables-nft-save", "--version"},
		{"/usr/sbin/nft", "--version"}, {"/usr/sbin/conntrack", "--version"}, {"/usr/sbin/ip", "-V"},
		{"/usr/sbin/ethtool", "--version"}, {"/usr/sbin/modprobe", "--version"}, {"/usr/bin/mount", "--version"},
		{"/usr/bin/findmnt", "--version"}, {"/usr/bin/jq", "--version"}, {"/usr/bin/pigz", "--version"},
		{"/usr/bin/curl", "--version"}, {"/usr/bin/journalctl", "--version"}, {"/usr/sbin/sysctl", "--version"},
	} {
		probes = append(probes, probe{args: args})
	}
	return probes
}
