package main

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// kubernetesStamp is what the linker writes into Kubernetes' programs. Without
// it they call themselves v0.0.0 and kubeadm refuses them.
func kubernetesStamp(version string) map[string]string {
	const variables = "k8s.io/component-base/version."
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return map[string]string{
		variables + "gitVersion": version,
		variables + "gitMajor":   major,
		variables + "gitMinor":   minor,
	}
}

// kubernetesParts are what the images of a control plane and a node are made of.
type kubernetesParts struct {
	version                                  string
	kubernetes, etcd, own, debian, kindFiles *artefact
}

// kubernetesImages are the images that a control plane and a node run, under
// the names that kubeadm and kind's containerd ask for, as one OCI layout.
func kubernetesImages(p kubernetesParts) recipe {
	return recipe{
		name:  "kubernetes images",
		needs: []*artefact{p.kubernetes, p.etcd, p.own, p.debian, p.kindFiles},
		text:  []string{p.version},
		files: []string{"kubernetes.go", "tree.go", "image.go", "libraries.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			refs, err := p.refs(ctx, b)
			if err != nil {
				return err
			}
			var images []v1.Image
			var annotations []map[string]string
			for _, ref := range refs {
				img, err := p.image(ctx, b, ref)
				if err != nil {
					return fmt.Errorf("image %s: %w", ref, err)
				}
				images = append(images, img)
				annotations = append(annotations, map[string]string{"io.containerd.image.name": ref})
			}
			return writeLayout(b.dir, images, annotations)
		},
	}
}

// refs asks kubeadm which images it will want. The sandbox image is not
// kubeadm's to choose: containerd's configuration names it.
func (p kubernetesParts) refs(ctx context.Context, b *bench) ([]string, error) {
	out, err := b.output(b.command(ctx, p.kubernetes.path("kubeadm"), "config", "images", "list", "--kubernetes-version", p.version))
	if err != nil {
		return nil, err
	}
	sandbox, err := sandboxImage(p.kindFiles.path(containerdConfig))
	if err != nil {
		return nil, err
	}
	refs := []string{sandbox}
	for _, ref := range strings.Fields(string(out)) {
		if name, _ := splitRef(ref); name != "pause" {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// image makes one image and sees that its program starts and is of the version
// in the image's tag.
func (p kubernetesParts) image(ctx context.Context, b *bench, ref string) (v1.Image, error) {
	name, version := splitRef(ref)
	t := newTree()
	t.folder("/tmp", fs.ModeSticky|0o777)
	program, config := "/usr/local/bin/"+name, v1.Config{}
	var probes []probe
	switch name {
	case "kube-apiserver", "kube-controller-manager", "kube-scheduler":
		t.file(program, p.kubernetes.path(name), 0o755)
		probes = []probe{says("v"+version, program, "--version")}
	case "kube-proxy":
		t.file(program, p.kubernetes.path(name), 0o755)
		if err := t.addPacketFilter(p.debian.path("root")); err != nil {
			return nil, err
		}
		probes = []probe{
			says("v"+version, program, "--version"),
			says("conntrack", "/usr/sbin/conntrack", "--version"),
			says("nftables", "/usr/sbin/nft", "--version"),
			restore(kubeProxyRules, "reject-with icmp-port-unreachable"),
		}
	case "etcd":
		t.file(program, p.etcd.path("server"), 0o755)
		probes = []probe{says(version, program, "--version")}
	case "coredns":
		config.Entrypoint = []string{"/coredns"}
		t.file("/coredns", p.etcd.path("coredns"), 0o755)
		probes = []probe{says(version, "/coredns", "-version")}
	case "pause":
		config.Entrypoint = []string{"/pause"}
		t.file("/pause", p.own.path("pause"), 0o755)
		probes = []probe{says("pause", "/pause", "-v")}
	default:
		return nil, fmt.Errorf("no recipe for an image of this name")
	}
	img, err := treeImage(b, config, t, packed)
	if err != nil {
		return nil, err
	}
	return img, smoke(ctx, b, img, probes...)
}

// addPacketFilter adds the programs with which kube-proxy and Istio's agent
// change the kernel's tables, with every extension of iptables and every
// library that an extension needs.
func (t *tree) addPacketFilter(root string) error {
	t.folder("/run", 0o755) // the lock of iptables lies here
	for _, name := range []string{"xtables-nft-multi", "xtables-legacy-multi", "nft", "conntrack"} {
		t.file("/usr/sbin/"+name, filepath.Join(root, "usr/sbin", name), 0o755)
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		t.link("/usr/sbin/"+name, "xtables-nft-multi")
	}
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu/xtables"))
	if err != nil || len(modules) != 1 {
		return fmt.Errorf("finding the extensions of iptables: %d folders, %w", len(modules), err)
	}
	if err := t.addDir(strings.TrimPrefix(modules[0], root), modules[0], 0o644); err != nil {
		return err
	}
	return t.addLibraries(root)
}

// splitRef returns the last part of an image's name and the version in its
// tag: "etcd" and "3.7.0" of "registry.k8s.io/etcd:3.7.0-0".
func splitRef(ref string) (name, version string) {
	name, tag, _ := strings.Cut(path.Base(ref), ":")
	version, _, _ = strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	return name, version
}
