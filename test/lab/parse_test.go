package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSplitRef(t *testing.T) {
	for ref, want := range map[string][2]string{
		"registry.k8s.io/kube-proxy:v1.37.2":      {"kube-proxy", "1.37.2"},
		"registry.k8s.io/etcd:3.7.0-0":            {"etcd", "3.7.0"},
		"registry.k8s.io/coredns/coredns:v1.14.6": {"coredns", "1.14.6"},
		"registry.k8s.io/pause:3.10":              {"pause", "3.10"},
	} {
		if name, version := splitRef(ref); name != want[0] || version != want[1] {
			t.Errorf("%s is %s of %s, want %v", ref, name, version, want)
		}
	}
}

func TestExtensionHelp(t *testing.T) {
	for file, want := range map[string]string{
		"libxt_statistic.so": "/usr/sbin/iptables -m statistic --help",
		"libxt_MARK.so":      "/usr/sbin/iptables -j MARK --help",
		"libip6t_rt.so":      "/usr/sbin/ip6tables -m rt --help",
		"libxt_standard.so":  "",
		"libebt_arp.so":      "",
	} {
		if got := strings.Join(extensionHelp(file), " "); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

func TestMirrorOf(t *testing.T) {
	const listing = `http://one.example/debian-security/ bookworm-security main
http://two.example/debian/ bookworm-updates main
http://two.example/debian/ bookworm contrib
http://two.example/debian/ bookworm main
`
	if got := mirrorOf(listing, "bookworm"); got != "http://two.example/debian/" {
		t.Errorf("the mirror is %q", got)
	}
	if got := mirrorOf(listing, "trixie"); got != "" {
		t.Errorf("a suite that apt does not know has mirror %q", got)
	}
}

func TestNotInstalled(t *testing.T) {
	const listing = "installed debootstrap\nnot-installed docker.io\nconfig-files iptables\n"
	got := notInstalled([]string{"debootstrap", "docker.io", "iptables", "unheard-of"}, listing)
	if want := []string{"docker.io", "iptables", "unheard-of"}; !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}

func TestSandboxImage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	for text, want := range map[string]string{
		"  # a comment\n  sandbox_image = \"registry.k8s.io/pause:3.10\"\n": "registry.k8s.io/pause:3.10",
		"snapshotter = \"overlayfs\"\n":                                     "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := sandboxImage(file); got != want || (err == nil) != (want != "") {
			t.Errorf("%q names %q, %v", text, got, err)
		}
	}
}

func TestContainerSpec(t *testing.T) {
	got, err := containerSpec([]byte(`{"ociVersion":"1.3.0","process":{"cwd":"/","rlimits":[{"type":"RLIMIT_NOFILE"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"hooks":{"createContainer":[{"path":"/kind/bin/mount-product-files.sh"}]},"ociVersion":"1.3.0","process":{"cwd":"/"}}`
	if string(got) != want {
		t.Errorf("the spec is %s, want %s", got, want)
	}
}

func TestProgramsArgs(t *testing.T) {
	got := programs{
		packages: []string{"k8s.io/kubernetes/cmd/kubelet"}, tags: "seccomp", static: true,
		stamp: kubernetesStamp("v1.37.2"),
	}.args()
	want := []string{
		"-trimpath", "-buildvcs=false", "-tags", "seccomp", "-ldflags",
		"-s -w -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" +
			" -X k8s.io/component-base/version.gitVersion=v1.37.2 -extldflags=-static",
		"k8s.io/kubernetes/cmd/kubelet",
	}
	if !slices.Equal(got, want) {
		t.Errorf("arguments %q, want %q", got, want)
	}
}

// inside must not follow an absolute link out of the root file system.
func TestInsideStaysInTheRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"ld.so": "/usr/lib/ld.so", "usr/lib/ld.so": "ld-2.36.so", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/ld-2.36.so"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := inside(root, filepath.Join(root, "ld.so")); err != nil || got != filepath.Join(root, "usr/lib/ld-2.36.so") {
		t.Errorf("the link leads to %s, %v", got, err)
	}
	if got, err := inside(root, filepath.Join(root, "loop")); err == nil {
		t.Errorf("a link to itself leads to %s", got)
	}
}

// A missing library must fail the lab: the program that wants it fails late and
// quietly.
func TestAddLibrariesFailsOnAMissingOne(t *testing.T) {
	const program = "/bin/sh"
	names, err := needed(program)
	if err != nil || len(names) == 0 {
		t.Skipf("no dynamic %s here: %v", program, err)
	}
	tr := newTree()
	tr.file("/bin/sh", program, 0o755)
	if err := tr.addLibraries(t.TempDir()); err == nil || !strings.Contains(err.Error(), names[0]) {
		t.Errorf("error is %v, want one that names %s", err, names[0])
	}
}
