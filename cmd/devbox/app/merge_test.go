package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

// The box's private kubeconfig, and one of somebody who has a cluster already.
const (
	private = `apiVersion: v1
kind: Config
clusters:
- name: kind-devbox
  cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}
users:
- name: kind-devbox
  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
contexts:
- name: kind-devbox
  context: {cluster: kind-devbox, user: kind-devbox}
current-context: kind-devbox
`
	somebodys = `apiVersion: v1
kind: Config
clusters:
- name: production
  cluster: {server: "https://production.example.com"}
users:
- name: me
  user: {token: secret}
contexts:
- name: production
  context: {cluster: production, user: me}
current-context: production
`
)

// kubeconfigs writes the two files.
func kubeconfigs(t *testing.T, theirs string) (box, user string) {
	t.Helper()
	box = filepath.Join(t.TempDir(), "kubeconfig")
	user = filepath.Join(t.TempDir(), ".kube", "config")
	write(t, box, private)
	if theirs != "" {
		write(t, user, theirs)
	}
	return box, user
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestMergeAndUnmerge(t *testing.T) {
	for _, test := range []struct{ name, theirs, current string }{
		{"beside another cluster", somebodys, "production"},
		{"into no file", "", "devbox-devbox"},
		{"into an empty file", "\n", "devbox-devbox"},
	} {
		t.Run(test.name, func(t *testing.T) {
			box, user := kubeconfigs(t, test.theirs)
			for range 2 { // the second time changes nothing
				if err := mergeKubeconfig(box, user, "devbox-devbox"); err != nil {
					t.Fatal(err)
				}
			}
			config, err := clientcmd.LoadFromFile(user)
			if err != nil {
				t.Fatal(err)
			}
			if config.CurrentContext != test.current {
				t.Errorf("the current context is %q, want %q", config.CurrentContext, test.current)
			}
			rest, err := clientcmd.NewNonInteractiveClientConfig(*config, "devbox-devbox", nil, nil).ClientConfig()
			if err != nil || rest.Host != "https://127.0.0.1:6443" || string(rest.CAData) != "ca" || string(rest.KeyData) != "key" {
				t.Errorf("the merged context leads to %+v, %v", rest, err)
			}
			if info, err := os.Stat(user); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the file is %v, %v; want mode 0600", info.Mode(), err)
			}

			removed, err := unmergeKubeconfig(user, "devbox-devbox")
			if !removed || err != nil {
				t.Fatalf("removed %v, %v", removed, err)
			}
			left, err := clientcmd.LoadFromFile(user)
			if err != nil {
				t.Fatal(err)
			}
			before, err := clientcmd.Load([]byte(test.theirs))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(names(before.Contexts)+names(before.Clusters)+names(before.AuthInfos)+before.CurrentContext,
				names(left.Contexts)+names(left.Clusters)+names(left.AuthInfos)+left.CurrentContext); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
			noLitter(t, user)
		})
	}
}

// names are the keys of a kubeconfig's part.
func names[V any](of map[string]V) string {
	var all []string
	for name := range of {
		all = append(all, name)
	}
	return strings.Join(all, " ") + "\n"
}

// noLitter wants no lock and no temporary file beside a file.
func noLitter(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != filepath.Base(path) {
			t.Errorf("%s is left beside %s", entry.Name(), path)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	theirOwn := strings.ReplaceAll(somebodys, "name: production\n  context", "name: devbox-devbox\n  context")
	for _, test := range []struct {
		name, theirs string
		prepare      func(t *testing.T, user string)
		want         string
	}{
		{"a context of somebody else's", theirOwn, nil, "devbox did not make it"},
		{"a file that is no kubeconfig", "{", nil, "reading "},
		{"a directory in its place", "", func(t *testing.T, user string) {
			if err := os.MkdirAll(user, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "is a directory"},
		{"a file where its directory should be", "", func(t *testing.T, user string) {
			write(t, filepath.Dir(user), "")
		}, "not a directory"},
		{"a lock that another program holds", somebodys, func(t *testing.T, user string) {
			write(t, user+".lock", "")
			t.Cleanup(func() { _ = os.Remove(user + ".lock") })
		}, "another program holds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			box, user := kubeconfigs(t, test.theirs)
			if test.prepare != nil {
				test.prepare(t, user)
			}
			err := mergeKubeconfig(box, user, "devbox-devbox")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("merging gives %v, want an error with %q", err, test.want)
			}
			if test.theirs != "" {
				if diff := cmp.Diff(test.theirs, read(t, user)); diff != "" {
					t.Errorf("the file has changed (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestMergeKeepsALinkAndItsMode(t *testing.T) {
	box, user := kubeconfigs(t, somebodys)
	if err := os.Chmod(user, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "config")
	if err := os.Symlink(user, link); err != nil {
		t.Fatal(err)
	}
	if err := mergeKubeconfig(box, link, "devbox-devbox"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link has become %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(user); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file has become %v, %v", info.Mode(), err)
	}
	if !strings.Contains(read(t, user), "devbox-devbox") {
		t.Error("the file behind the link is as it was")
	}
}

func TestUnmergeLeavesAlone(t *testing.T) {
	_, user := kubeconfigs(t, strings.ReplaceAll(somebodys, "name: production\n  context", "name: devbox-devbox\n  context"))
	before := read(t, user)
	if removed, err := unmergeKubeconfig(user, "devbox-devbox"); removed || err != nil {
		t.Errorf("somebody else's context: removed %v, %v", removed, err)
	}
	if read(t, user) != before {
		t.Error("the file has changed")
	}
	missing := filepath.Join(t.TempDir(), "none", "config")
	if removed, err := unmergeKubeconfig(missing, "devbox-devbox"); removed || err != nil {
		t.Errorf("no file: removed %v, %v", removed, err)
	}
	if _, err := os.Stat(filepath.Dir(missing)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}
