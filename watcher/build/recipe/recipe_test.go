package recipe

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChanged goes through what can become of files.
func TestChanged(t *testing.T) {
	sum := func(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
	body := func(text, shape string) file { return file{sum(text), sum(shape), true} }
	other := func(text string) file { return file{sum: sum(text)} }
	before := State{"a.go": body("a", "x"), "b.go": body("b", "x"), "c.s": other("c"), "go.mod": other("m"), "go.work": {}, "link": other("1")}
	for name, c := range map[string]struct {
		now  State
		want string
	}{
		"nothing":               {State{}, ""},
		"a body":                {State{"a.go": body("a2", "x")}, ""},
		"two bodies":            {State{"a.go": body("a2", "x"), "b.go": body("b2", "x")}, ""},
		"imports or directives": {State{"a.go": body("a2", "y")}, "the package, the imports or a directive of a.go have changed"},
		"a new file":            {State{"new.go": other("n")}, "new.go is new"},
		"a file that is gone":   {State{"a.go": {body: true}}, "a.go is gone"},
		"assembly":              {State{"c.s": other("c2")}, "c.s has changed"},
		"go.mod":                {State{"go.mod": other("m2")}, "go.mod has changed"},
		"no go.mod":             {State{"go.mod": {}}, "go.mod is gone"},
		"a workspace":           {State{"go.work": other("w")}, "go.work is new"},
		"another toolchain":     {State{"link": other("2")}, "link has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Changed(before, union(before, c.now), func(path string) string { return path }); got != c.want {
				t.Errorf("Changed = %q, want %q", got, c.want)
			}
		})
	}
	if got, want := Changed(before, State{}, filepath.Base), "a.go is gone"; got != want {
		t.Errorf("of no files Changed = %q, want %q", got, want)
	}
}

const dryRun = `mkdir -p $WORK/b002/

#
# example.com/lib
#

cat >$WORK/b002/importcfg << 'EOF' # internal
# import config
packagefile fmt=$WORK/b003/_pkg_.a
EOF
cat >$WORK/b002/embedcfg << 'EOF' # internal
{
	"Files": {}
}EOF
cd /src/lib dir
/go/compile -o $WORK/b002/_pkg_.a -trimpath "$WORK/b002=>" -p example.com/lib -buildid a/a -importcfg $WORK/b002/importcfg -embedcfg $WORK/b002/embedcfg -pack "./li b.go" /src/x.go
go tool buildid -w $WORK/b002/_pkg_.a # internal
cat >$WORK/b001/importcfg.link << 'EOF' # internal
packagefile example.com/lib=$WORK/b002/_pkg_.a
modinfo "x\n"
EOF
cd .
GOROOT='/go' /go/link -o $WORK/b001/exe/a.out -importcfg $WORK/b001/importcfg.link -buildmode=exe -buildid=a/b/c/d -X "main.v=a b" $WORK/b001/_pkg_.a
`

func TestParse(t *testing.T) {
	s, err := parse(strings.NewReader(dryRun), "/src")
	if err != nil {
		t.Fatal(err)
	}
	a := s.compile["example.com/lib"]
	if got, want := strings.Join(a.files, "|"), "/src/lib dir/li b.go|/src/x.go"; got != want {
		t.Errorf("files %q, want %q", got, want)
	}
	if got, want := a.embed, "{\n\t\"Files\": {}\n}"; got != want {
		t.Errorf("embedcfg %q, want %q", got, want)
	}
	if got, want := strings.Join(a.with(map[string]string{"-o": "out", "-trimpath": "t", "-buildid": "id"}), "|"), "-o|out|-trimpath|t|-p|example.com/lib|-buildid|id|-importcfg|$WORK/b002/importcfg|-embedcfg|$WORK/b002/embedcfg|-pack"; got != want {
		t.Errorf("compiled by %q, want %q", got, want)
	}
	if got, want := a.configWith(func(path string) string { return "/cache/" + path }), "# import config\npackagefile fmt=/cache/fmt\n"; got != want {
		t.Errorf("importcfg %q, want %q", got, want)
	}
	if got, want := strings.Join(s.link.with(map[string]string{"-buildid=": "id"}), "|"), "-o|$WORK/b001/exe/a.out|-importcfg|$WORK/b001/importcfg.link|-buildmode=exe|-buildid=id|-X|main.v=a b|$WORK/b001/_pkg_.a"; got != want {
		t.Errorf("linked by %q, want %q", got, want)
	}
	if got, want := s.link.config, "packagefile example.com/lib=$WORK/b002/_pkg_.a\nmodinfo \"x\\n\"\n"; got != want || s.link.env[0] != "GOROOT=/go" {
		t.Errorf("importcfg.link %q, want %q; environment %q", got, want, s.link.env)
	}
}

// TestParseWhatIsNotKnown is an error, whatever a later go command says.
func TestParseWhatIsNotKnown(t *testing.T) {
	for name, script := range map[string]string{
		"nothing":       "",
		"no link":       strings.Replace(dryRun, "/go/link", "/go/ld", 1),
		"another quote": strings.Replace(dryRun, `"main.v=a b"`, `"main.v`, 1),
		"no -pack":      strings.Replace(dryRun, "-pack", "-linkobj", 1),
		"another file":  strings.Replace(dryRun, "<< 'EOF'", "<< END", 1),
	} {
		if _, err := parse(strings.NewReader(script), "/src"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestStoreIsBounded: what was not used for the longest goes first, and what
// failed leaves nothing.
func TestStoreIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir, 10)
	get := func(key string) (made bool) {
		t.Helper()
		path, made, err := s.get(t.Context(), key, func(path string) error { return os.WriteFile(path, []byte("four"), 0o600) })
		if data, readErr := os.ReadFile(path); err != nil || string(data) != "four" {
			t.Errorf("%s holds %q, %v, %v", key, data, err, readErr)
		}
		return made
	}
	for _, step := range []struct {
		key  string
		made bool
	}{{"a", true}, {"b", true}, {"a", false}, {"c", true}, {"a", false}, {"b", true}} {
		if made := get(step.key); made != step.made {
			t.Errorf("%s: made %v, want %v", step.key, made, step.made)
		}
	}
	broken := errors.New("broken")
	if _, _, err := s.get(t.Context(), "d", func(path string) error { return errors.Join(broken, os.WriteFile(path, nil, 0o600)) }); !errors.Is(err, broken) {
		t.Errorf("get = %v, want %v", err, broken)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if want := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}; err != nil || strings.Join(left, " ") != strings.Join(want, " ") {
		t.Errorf("there are %v, %v, want %v", left, err, want)
	}
}

// TestStoreWaits for another's, and makes it where the other fails.
func TestStoreWaits(t *testing.T) {
	s := NewStore(t.TempDir(), 10)
	begun, fail := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, _, err := s.get(t.Context(), "a", func(string) error {
			close(begun)
			<-fail
			return errors.New("broken")
		})
		first <- err
	}()
	<-begun
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.get(over, "a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with no time left get = %v", err)
	}
	close(fail)
	_, made, err := s.get(t.Context(), "a", func(path string) error { return os.WriteFile(path, nil, 0o600) })
	if !made || err != nil || <-first == nil {
		t.Errorf("after a failure made = %v, %v", made, err)
	}
}
