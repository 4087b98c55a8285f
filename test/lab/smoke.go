package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A probe runs one program of an image, inside the image's own file system,
// and looks for a text in what it prints.
type probe struct {
	args  []string
	stdin string
	want  string
}

// smoke unpacks an image and runs probes in it. The programs see the image's
// files and an empty network namespace, nothing else. So a missing library or a
// wrong version fails here and not later, quietly, in somebody's box.
func smoke(ctx context.Context, b *bench, img v1.Image, probes ...probe) error {
	root, err := os.MkdirTemp(b.scratch, "smoke-")
	if err != nil {
		return err
	}
	if err := unpack(img, root); err != nil {
		return fmt.Errorf("unpacking the image for its smoke test: %w", err)
	}
	extensions, err := extensionProbes(root)
	if err != nil {
		return err
	}
	for _, p := range append(probes, extensions...) {
		if err := p.run(ctx, b, root); err != nil {
			return fmt.Errorf("smoke test: %w", err)
		}
	}
	return os.RemoveAll(root)
}

func (p probe) run(ctx context.Context, b *bench, root string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := b.command(ctx, p.args[0], p.args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{searchPath}
	cmd.SysProcAttr.Chroot = root
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if p.stdin != "" {
		cmd.Stdin = strings.NewReader(p.stdin)
	}
	err := b.run(cmd)
	if _, err := b.log.Write(out.Bytes()); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if !strings.Contains(out.String(), p.want) {
		return fmt.Errorf("%s does not say %q", strings.Join(p.args, " "), p.want)
	}
	return nil
}

// says is the probe that a program prints a text, such as its version.
func says(want string, args ...string) probe { return probe{args: args, want: want} }

// extensionProbes load every match and target of the image's iptables, if it
// has one: asking an extension for its help loads it and needs no kernel.
func extensionProbes(root string) ([]probe, error) {
	modules, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu/xtables/lib*.so"))
	if err != nil {
		return nil, err
	}
	var probes []probe
	for _, module := range modules {
		if args := extensionHelp(filepath.Base(module)); args != nil {
			probes = append(probes, probe{args: args})
		}
	}
	return probes, nil
}

// extensionHelp is the command that loads an extension by its file's name:
// libxt_statistic.so is the match "statistic", libxt_MARK.so the target "MARK".
func extensionHelp(file string) []string {
	family, name, ok := strings.Cut(strings.TrimSuffix(file, ".so"), "_")
	program := map[string]string{"libxt": "/usr/sbin/iptables", "libipt": "/usr/sbin/iptables", "libip6t": "/usr/sbin/ip6tables"}[family]
	if !ok || program == "" || name == "standard" {
		return nil // arptables' and ebtables', which nothing here uses, and the built-in verdicts
	}
	if strings.ToUpper(name) == name {
		return []string{program, "-j", name, "--help"}
	}
	return []string{program, "-m", name, "--help"}
}

// kubeProxyRules use every match and target that kube-proxy and the node's CNI
// plug-ins write, and with them the kernel's side of each.
const kubeProxyRules = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-LAB - [0:0]
:KUBE-SEP-LAB - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m addrtype --dst-type LOCAL -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m udp --dport 53 -j KUBE-SVC-LAB
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-LAB
-A KUBE-SVC-LAB ! -s 10.244.0.0/16 -m comment --comment "from outside" -j KUBE-MARK-MASQ
-A KUBE-SVC-LAB -m statistic --mode random --probability 0.5 -j KUBE-SEP-LAB
-A KUBE-SVC-LAB -j KUBE-SEP-LAB
-A KUBE-SEP-LAB -p tcp -m tcp -j DNAT --to-destination 10.244.0.2:6443
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-FORWARD -p tcp -m multiport --dports 80,443 -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -p tcp -m comment --comment "has no endpoints" -j REJECT
COMMIT
`

// istioRules are those that istio-init writes beside a workload.
const istioRules = `*nat
:ISTIO_OUTPUT - [0:0]
:ISTIO_REDIRECT - [0:0]
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN
-A ISTIO_OUTPUT -p tcp -m multiport --dports 15008,15020 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
COMMIT
`

// restore is the probe that puts rules into the empty tables of a new network
// namespace. last is what iptables prints of the last rule it has taken in.
func restore(rules, last string) probe {
	return probe{args: []string{"/usr/sbin/iptables-restore", "--verbose"}, stdin: rules, want: last}
}
