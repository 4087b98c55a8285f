package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// postgresVersion is the major version that Debian has.
const postgresVersion = "15"

// postgresPackages are Postgres, and the libraries that the node's root does not
// have.
var postgresPackages = []string{
	"postgresql-" + postgresVersion, "postgresql-client-" + postgresVersion, "libpq5", "libicu72", "libxml2",
}

// postgresUser is whom Postgres runs as, as in docker.io/library/postgres.
const postgresUser = 999

// postgresEntrypoint makes a database where there is none, by the variables that
// docker.io/library/postgres reads, and becomes the server.
const postgresEntrypoint = `#!/bin/sh
set -eu
user=${POSTGRES_USER:-postgres}
name=${POSTGRES_DB:-$user}
if [ ! -e "$PGDATA/PG_VERSION" ]; then
	if [ -z "${POSTGRES_PASSWORD:-}" ]; then
		echo "the new database needs a password for $user: set POSTGRES_PASSWORD" >&2
		exit 1
	fi
	printf '%s\n' "$POSTGRES_PASSWORD" |
		initdb --username="$user" --pwfile=/dev/stdin --auth-local=trust --auth-host=scram-sha-256 --no-sync
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	if [ "$name" != postgres ]; then
		echo "CREATE DATABASE \"$name\"" | postgres --single -j postgres >/dev/null
	fi
fi
exec postgres -c listen_addresses='*' "$@"
`

// postgresImage is Postgres as Debian builds it, in the place of
// docker.io/library/postgres: for examples that have a database beside a service.
func postgresImage(packages, debian *artefact) recipe {
	return recipe{
		name:  "postgres image",
		needs: []*artefact{packages, debian},
		files: []string{"postgres.go", "zipkin.go", "packages.go", "tree.go", "image.go", "libraries.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			t := newTree()
			if err := t.addPostgres(packages.path("root"), debian.path("root")); err != nil {
				return err
			}
			config := v1.Config{
				Entrypoint: []string{"/entrypoint"}, User: "postgres",
				ExposedPorts: map[string]struct{}{"5432/tcp": {}},
				Env:          []string{"LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"},
			}
			img, err := treeImage(b, config, t, plain)
			if err != nil {
				return err
			}
			if err := tryPostgres(ctx, b, img); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// addPostgres adds the server, what makes a database and what asks whether it
// answers; without what compiles queries, for which LLVM would be needed.
func (t *tree) addPostgres(root, debian string) error {
	const home = "/usr/lib/postgresql/" + postgresVersion
	const shared = "/usr/share/postgresql/" + postgresVersion
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil || len(libraries) != 1 {
		return fmt.Errorf("finding Postgres' libraries: %d folders, %w", len(libraries), err)
	}
	if err := t.addUnder(root, libraries[0][len(root):], home+"/lib", shared); err != nil {
		return err
	}
	for name := range t.nodes {
		for _, unused := range []string{
			home + "/lib/bitcode", home + "/lib/llvmjit", home + "/lib/pgxs", shared + "/man",
			home + "/lib/sepgsql.so", home + "/lib/pgxml.so", // which need SELinux and XSLT
		} {
			if strings.HasPrefix(name, unused) {
				delete(t.nodes, name)
			}
		}
	}
	for _, program := range []string{"initdb", "postgres", "pg_isready"} {
		t.file(home+"/bin/"+program, filepath.Join(root, home, "bin", program), 0o755)
		t.link("/usr/bin/"+program, home+"/bin/"+program)
	}
	t.link("/bin", "usr/bin")
	t.file("/usr/bin/sh", filepath.Join(debian, "usr/bin/dash"), 0o755) // initdb needs it too
	t.data("/entrypoint", 0o755, []byte(postgresEntrypoint))
	t.data("/etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0:root:/root:/usr/sbin/nologin\npostgres:x:%[1]d:%[1]d::/var/lib/postgresql:/bin/sh\n", postgresUser))
	t.data("/etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\npostgres:x:%d:\n", postgresUser))
	t.folder("/tmp", fs.ModeSticky|0o777)
	t.folder("/proc", 0o555)
	t.folder("/dev", 0o755)
	for _, own := range []string{"/var/lib/postgresql", "/var/run/postgresql"} { // of its data, and of its socket
		t.put(own, node{mode: fs.ModeDir | 0o755, uid: postgresUser, gid: postgresUser})
	}
	if err := t.addUnder(debian, "/usr/lib/locale/C.utf8", "/usr/share/zoneinfo"); err != nil {
		return err
	}
	return t.addForeignLibraries(debian)
}

// tryPostgres has the image make a database, which loads most of its libraries,
// and the server say what it is.
func tryPostgres(ctx context.Context, b *bench, img v1.Image) error {
	root := filepath.Join(b.scratch, "smoke")
	if err := unpack(img, root); err != nil {
		return fmt.Errorf("unpacking the image for its smoke test: %w", err)
	}
	const enter = `mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"
		for own in var/lib/postgresql var/run/postgresql; do mount -t tmpfs -o mode=1777 tmpfs "$0/$own"; done
		export LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data POSTGRES_DB=shop POSTGRES_PASSWORD=secret
		exec chroot --userspec=%[1]d:%[1]d "$0" /entrypoint -C server_version`
	out, err := b.output(b.command(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "sh", "-ec", fmt.Sprintf(enter, postgresUser), root))
	if err != nil {
		return fmt.Errorf("smoke test: %w", err)
	}
	if !strings.Contains(string(out), "\n"+postgresVersion+".") {
		return fmt.Errorf("smoke test: Postgres does not say that it is %s", postgresVersion)
	}
	return os.RemoveAll(root)
}
