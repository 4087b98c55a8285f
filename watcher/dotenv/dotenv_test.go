package dotenv

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func written(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRead(t *testing.T) {
	t.Setenv("HOME", "/home/somebody") // which does not count
	got, err := Read(written(t, `# a comment
export DATABASE_URL=postgres://me:pass@host.devbox.internal:5432/db?sslmode=disable

QUOTED="two words" # and a comment
ESCAPED="a \"b\" c"	
# it's "no" value
BARE=it's "said"
SINGLE='$NOT ${REPLACED}'
LINES="one
two"
NAME=hello
GREETING=${NAME}-world
DEFAULT=${NOWHERE:-spare}
EMPTY=
`))
	want := map[string]string{
		"DATABASE_URL": "postgres://me:pass@host.devbox.internal:5432/db?sslmode=disable",
		"QUOTED":       "two words", "ESCAPED": `a "b" c`, "BARE": `it's "said"`, "SINGLE": "$NOT ${REPLACED}", "LINES": "one\ntwo",
		"NAME": "hello", "GREETING": "hello-world", "DEFAULT": "spare", "EMPTY": "",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := Read(t.TempDir()); got != nil || err != nil {
		t.Errorf("of a folder without one: %v, %v", got, err)
	}
}

// TestReadWithByteOrderMark is what an editor of Windows writes.
func TestReadWithByteOrderMark(t *testing.T) {
	got, err := Read(written(t, "\ufeffA=1\r\nB=${A}\r\n"))
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "1"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = Read(written(t, "A=\"1\r\n2\"\r\nB=3\r\n"))
	if diff := cmp.Diff(map[string]string{"A": "1\n2", "B": "3"}, got); err != nil || diff != "" {
		t.Errorf("a value of two lines: %v (-want +got):\n%s", err, diff)
	}
	dir := written(t, "\ufeffTOKEN\n")
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), ":1: TOKEN has no value") {
		t.Errorf("a mistake in the first line: %v", err)
	}
}

// TestReadWhatIsNoFile ends at once: opening a named pipe waits for who writes it.
func TestReadWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(Path(dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || err.Error() != Path(dir)+": it is no regular file" {
		t.Errorf("a named pipe: %v", err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(Path(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); got != nil || err != nil {
		t.Errorf("a folder: %v, %v; want that it is none", got, err)
	}
}

// TestReadLinkToNothing is a mistake, and not a folder without a .env.
func TestReadLinkToNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("../shared.env", Path(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || err.Error() != Path(dir)+": it is a link to ../shared.env, which is not there" {
		t.Errorf("got %v", err)
	}
}

// TestMistakes are named by file and line, without a value.
func TestMistakes(t *testing.T) {
	for content, want := range map[string]string{
		"A=1\nB C=secret\n":          ":2: key cannot contain a space",
		"A=1\n\nB=\"secret\nC=1\n":   ":3: unterminated quoted value",
		"A=\"secret\n":               ":1: unterminated quoted value",
		"A=1\nB=\"x\"secret\nC=1\n":  ":2: there is text after the closing quote",
		"A='x' C=secret\n":           ":1: there is text after the closing quote",
		"A=\"x\\\"\ny\"\tsecret z\n": ":2: there is text after the closing quote",
		"A='1'\nB='":                 ":2: unterminated quoted value",
		"A=1\n!B=secret\n":           `:2: unexpected character "!" in a variable's name`,
		"A=1\nTOKEN\n":               ":2: TOKEN has no value",
		"A=secret\nB=$HOME/x\n":      ":2: HOME has no value",
		"A=secret\n\nB=${LATER}\n":   ":3: LATER has no value",
		"A=secret\nB=${A:?needed\n":  ":2: a $ begins no name",
		"A=secret\nB=x${C:?needed}":  ":2: required variable C is missing a value: needed",
		"A=secret\nB=${C?}\n":        ":2: required variable C is missing a value",
		"\xff\xfeA\x00=\x00":         ": it is no text in UTF-8; save it as that",
		"A\x00=\x00s\x00":            ": it is no text in UTF-8; save it as that",
	} {
		dir := written(t, content)
		_, err := Read(dir)
		wrong, ok := errors.AsType[*Error](err)
		if !ok || wrong.File != Path(dir) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v; want %s", content, err, want)
		}
	}
}

// TestInto: what the manifest and the box say wins, and the Service that was given
// stays as it is.
func TestInto(t *testing.T) {
	s := &servingv1.Service{}
	s.Spec.Template.Spec.Containers = []servingv1.Container{
		{Name: "beside"},
		{Name: "main", Ports: []servingv1.ContainerPort{{}}, Env: []servingv1.EnvVar{{Name: "TARGET", Value: "World"}}},
	}
	variables := map[string]string{"TARGET": "Mars", "TOKEN": "a$(b)", "PORT": "3000", "COLOUR": "red"}
	got, given := Into(s, variables)
	want := []servingv1.EnvVar{{Name: "TARGET", Value: "World"}, {Name: "COLOUR", Value: "red"}, {Name: "TOKEN", Value: "a$$(b)"}}
	if diff := cmp.Diff(want, got.Spec.Template.Spec.Containers[1].Env); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if env := got.Spec.Template.Spec.Containers[0].Env; len(env) > 0 {
		t.Errorf("the container beside it has %v", env)
	}
	if names := got.Spec.Template.Annotations[Annotation]; names != "COLOUR,TOKEN" {
		t.Errorf("the annotation is %q", names)
	}
	if said, want := given.Sentence(), ".env gives it COLOUR, TOKEN; the manifest's own count for TARGET; the box says PORT"; said != want {
		t.Errorf("said is %q, want %q", said, want)
	}
	if len(s.Spec.Template.Spec.Containers[1].Env) != 1 || s.Spec.Template.Annotations != nil {
		t.Error("the Service that was given has changed")
	}
	if got, given := Into(s, nil); given.Sentence() != "" || got.Spec.Template.Annotations != nil {
		t.Errorf("without a .env: %q, %v", given.Sentence(), got.Spec.Template.Annotations)
	}
}
