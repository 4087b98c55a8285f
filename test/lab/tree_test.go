package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTreeWritesASortedReproducibleLayer(t *testing.T) {
	source := filepath.Join(t.TempDir(), "kubelet")
	if err := os.WriteFile(source, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := newTree()
	tr.file("/usr/bin/kubelet", source, 0o755)
	tr.data("/etc/passwd", 0o644, []byte("root"))
	tr.folder("/tmp", fs.ModeSticky|0o777)
	tr.link("/lib", "usr/lib")
	want := `drwxr-xr-x etc/
-rw-r--r-- etc/passwd "root"
Lrwxrwxrwx lib -> usr/lib
dtrwxrwxrwx tmp/
drwxr-xr-x usr/
drwxr-xr-x usr/bin/
-rwxr-xr-x usr/bin/kubelet "program"
`
	first, second := layerOf(t, tr), layerOf(t, tr)
	if got := listing(t, first); got != want {
		t.Errorf("layer:\n%s\nwant:\n%s", got, want)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same tree gives different bytes")
	}
}

func TestAddRootKeepsLinksAndModes(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "usr/bin/mount"), []byte("m"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "usr/bin/mount"), fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/bin", filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	tr := newTree()
	if err := tr.addRoot(root); err != nil {
		t.Fatal(err)
	}
	want := "Lrwxrwxrwx bin -> usr/bin\ndrwxr-xr-x usr/\ndrwxr-xr-x usr/bin/\nurwxr-xr-x usr/bin/mount \"m\"\n"
	if got := listing(t, layerOf(t, tr)); got != want {
		t.Errorf("layer:\n%s\nwant:\n%s", got, want)
	}
}

func TestEnableLinksAUnitWhereItIsWanted(t *testing.T) {
	tr := newTree()
	tr.data("/etc/systemd/system/kubelet.service", 0o644, []byte("[Unit]\n[Install]\nWantedBy=multi-user.target\n"))
	tr.data("/etc/systemd/system/static.service", 0o644, []byte("[Unit]\n"))
	if err := tr.enable("kubelet.service"); err != nil {
		t.Fatal(err)
	}
	link := tr.nodes["/etc/systemd/system/multi-user.target.wants/kubelet.service"].link
	if link != "/etc/systemd/system/kubelet.service" {
		t.Errorf("the link points to %q", link)
	}
	for _, unit := range []string{"static.service", "gone.service"} {
		if tr.enable(unit) == nil {
			t.Errorf("%s can be enabled", unit)
		}
	}
}

func layerOf(t *testing.T, tr *tree) []byte {
	t.Helper()
	var layer bytes.Buffer
	if err := tr.write(&layer); err != nil {
		t.Fatal(err)
	}
	return layer.Bytes()
}

// listing shows a layer one line a file.
func listing(t *testing.T, layer []byte) string {
	t.Helper()
	var lines strings.Builder
	reader := tar.NewReader(bytes.NewReader(layer))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return lines.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s %s", header.FileInfo().Mode(), header.Name)
		switch header.Typeflag {
		case tar.TypeSymlink:
			fmt.Fprintf(&lines, " -> %s", header.Linkname)
		case tar.TypeReg:
			data, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&lines, " %q", data)
		}
		lines.WriteString("\n")
	}
}
