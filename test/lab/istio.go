package main

import (
	"context"
	"io/fs"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// certificates is where OpenSSL and Go look for the roots they trust.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// pilotImage is Istio's control plane. Its pod must not run as root and names
// no user of its own, so the image does.
func pilotImage(version string, istio, debian *artefact) recipe {
	return recipe{
		name:  "pilot image",
		needs: []*artefact{istio, debian},
		text:  []string{version},
		files: []string{"istio.go", "tree.go", "image.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			const program = "/usr/local/bin/pilot-discovery"
			t := newTree()
			t.folder("/tmp", fs.ModeSticky|0o777)
			t.file(program, istio.path("pilot-discovery"), 0o755)
			t.file(certificates, debian.path("root", certificates), 0o644)
			img, err := treeImage(b, v1.Config{Entrypoint: []string{program}, User: "1337:1337"}, t, plain)
			if err != nil {
				return err
			}
			if err := smoke(ctx, b, img, says(`"`+version+`"`, program, "version")); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// proxyImage is Istio's agent with Envoy, for gateways and for sidecars, which
// redirect their pod's traffic. It names no user: each runs as the one its pod
// says. Like Istio's own image it has a shell and setpriv, with which a
// sidecar gives up the right to redirect once it has.
func proxyImage(version string, module goModule, istio, envoy, debian *artefact) recipe {
	return recipe{
		name:  "proxy image",
		needs: []*artefact{istio, envoy, debian},
		text:  []string{version},
		files: []string{"istio.go", "kubernetes.go", "tree.go", "image.go", "libraries.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			const agent, proxy = "/usr/local/bin/pilot-agent", "/usr/local/bin/envoy"
			source, err := module.source(ctx, b, istioModule)
			if err != nil {
				return err
			}
			t := newTree()
			t.folder("/tmp", fs.ModeSticky|0o777)
			t.folder("/var/lib/istio/data", 0o777)
			t.file(agent, istio.path("pilot-agent"), 0o755)
			t.file(proxy, envoy.path("envoy"), 0o755)
			t.file("/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", filepath.Join(source, "tools/packaging/common/envoy_bootstrap.json"), 0o644)
			t.file(certificates, debian.path("root", certificates), 0o644)
			t.data("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\nistio-proxy:x:1337:1337::/:/sbin/nologin\n"))
			t.data("/etc/group", 0o644, []byte("root:x:0:\nistio-proxy:x:1337:\n"))
			t.addShell(debian.path("root"))
			if err := t.addPacketFilter(debian.path("root")); err != nil {
				return err
			}
			img, err := treeImage(b, v1.Config{Entrypoint: []string{agent}}, t, plain)
			if err != nil {
				return err
			}
			if err := smoke(ctx, b, img,
				says(`"`+version+`"`, agent, "version"),
				says("/1.", proxy, "--version"),
				restore(istioRules, "redir ports 15001"),
				says("no_new_privs: 1", "/bin/sh", "-ec", "mkdir /tmp/x && cd /tmp/x && exec setpriv --no-new-privs setpriv --dump"),
			); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// addShell adds what a sidecar's first steps are written in.
func (t *tree) addShell(root string) {
	t.link("/bin", "usr/bin")
	t.link("/usr/bin/sh", "dash")
	for _, name := range []string{"dash", "mkdir", "setpriv"} {
		t.file("/usr/bin/"+name, filepath.Join(root, "usr/bin", name), 0o755)
	}
}
