package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Zipkin's server, as its maintainers publish it for Maven: one archive with
// all that it needs but Java.
const (
	zipkinVersion  = "3.5.1"
	zipkinArtifact = "io.zipkin:zipkin-server:" + zipkinVersion + ":jar:exec"
	zipkinSum      = "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d"
	mavenCopy      = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
)

// zipkinProgram fetches the archive and holds it against the sum it had when
// it was chosen.
func zipkinProgram() recipe {
	return recipe{
		name:  "zipkin program",
		text:  []string{zipkinArtifact, zipkinSum},
		files: []string{"zipkin.go"},
		build: func(ctx context.Context, b *bench) error {
			maven := func(args ...string) error {
				return b.run(b.command(ctx, "mvn", append([]string{"-B", "-q"}, args...)...))
			}
			if maven("--version") != nil {
				if err := b.packages(ctx, "maven"); err != nil {
					return err
				}
			}
			if err := maven(mavenCopy, "-Dartifact="+zipkinArtifact, "-DoutputDirectory="+b.scratch); err != nil {
				return err
			}
			fetched := filepath.Join(b.scratch, "zipkin-server-"+zipkinVersion+"-exec.jar")
			if err := sums(fetched, zipkinSum); err != nil {
				return err
			}
			return os.Rename(fetched, filepath.Join(b.dir, "zipkin.jar"))
		},
	}
}

// sums says whether a file has the SHA-256 that is expected of it.
func sums(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has the sum %s, not %s", filepath.Base(file), got, want)
	}
	return nil
}

// zipkinImage is Zipkin's server on Debian's Java, of which only what a server
// needs is taken. The chart says how much memory Java may have.
func zipkinImage(zipkin, java, debian *artefact) recipe {
	return recipe{
		name:  "zipkin image",
		needs: []*artefact{zipkin, java, debian},
		text:  []string{zipkinVersion},
		files: []string{"zipkin.go", "packages.go", "tree.go", "image.go", "libraries.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			const archive = "/zipkin/zipkin.jar"
			t := newTree()
			t.folder("/tmp", fs.ModeSticky|0o777)
			t.folder("/proc", 0o555)
			t.file(archive, zipkin.path("zipkin.jar"), 0o644)
			t.file(certificates, debian.path("root", certificates), 0o644)
			t.data("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\nzipkin:x:65532:65532::/tmp:/sbin/nologin\n"))
			program, err := t.addJava(java.path("root"), debian.path("root"))
			if err != nil {
				return err
			}
			img, err := treeImage(b, v1.Config{Entrypoint: []string{program, "-jar", archive}}, t, plain)
			if err != nil {
				return err
			}
			if err := tryJava(ctx, b, img, program, "-Djarmode=tools", "-jar", archive, "list-layers"); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// addJava adds Debian's Java without what draws, plays and debugs, and returns
// the path of its program.
func (t *tree) addJava(root, debian string) (program string, err error) {
	homes, err := filepath.Glob(filepath.Join(root, "usr/lib/jvm/java-17-openjdk-*"))
	if err != nil || len(homes) != 1 {
		return "", fmt.Errorf("finding Java: %d folders, %w", len(homes), err)
	}
	home := homes[0][len(root):]
	if err := t.addUnder(root, home+"/bin/java", home+"/conf", home+"/lib", "/etc/java-17-openjdk"); err != nil {
		return "", err
	}
	for _, name := range []string{
		"ct.sym", "libawt.so", "libawt_headless.so", "libfontmanager.so", "libjavajpeg.so", "liblcms.so", "libmlib_image.so",
		"libjsound.so", "libj2pcsc.so", "libsaproc.so", "libsctp.so", "libjdwp.so", "libdt_socket.so",
		"server/classes_nocoops.jsa", // for heaps of more than 32 GiB
	} {
		delete(t.nodes, home+"/lib/"+name)
	}
	return home + "/bin/java", t.addForeignLibraries(debian)
}

// addForeignLibraries adds what the tree's programs need and do not bring
// along in a folder of their own, from a Debian root file system.
func (t *tree) addForeignLibraries(root string) error {
	own := map[string]bool{}
	for name := range t.nodes {
		own[path.Base(name)] = true
	}
	foreign := newTree()
	for _, n := range t.nodes {
		if !n.mode.IsRegular() || n.source == "" {
			continue
		}
		names, err := needed(n.source)
		if err != nil {
			return fmt.Errorf("reading what %s needs: %w", n.source, err)
		}
		for _, name := range names {
			if own[name] {
				continue
			}
			library, source, err := findLibrary(root, name)
			if err != nil {
				return fmt.Errorf("%s: %w", n.source, err)
			}
			foreign.file(library, source, 0o755)
		}
	}
	if err := foreign.addLibraries(root); err != nil {
		return err
	}
	maps.Copy(t.nodes, foreign.nodes)
	return nil
}

// tryJava is a smoke test with a /proc: Java finds its libraries through it.
// The program must end well.
func tryJava(ctx context.Context, b *bench, img v1.Image, command ...string) error {
	root := filepath.Join(b.scratch, "smoke")
	if err := unpack(img, root); err != nil {
		return fmt.Errorf("unpacking the image for its smoke test: %w", err)
	}
	args := append([]string{
		"--mount", "--net", "--pid", "--fork", "sh", "-ec", `mount -t proc proc "$0/proc"; exec chroot "$0" "$@"`, root,
	}, command...)
	if err := b.run(b.command(ctx, "unshare", args...)); err != nil {
		return fmt.Errorf("smoke test: %w", err)
	}
	return os.RemoveAll(root)
}
