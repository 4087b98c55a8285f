package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestCanRaiseLimits(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tshim\nCapBnd:\t000001ffffffffff\nCapAmb:\t0\n": true,
		"CapBnd:\t000001fffeffffff\n":                          false,
	} {
		if got, err := canRaiseLimits(status); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", status, got, err, want)
		}
	}
	if _, err := canRaiseLimits("Name:\tshim\n"); err == nil {
		t.Error("a status without a bounding set is taken")
	}
}

func TestRestrictBundle(t *testing.T) {
	const config = `{"linux":{"big":12345678901234567890},"process":{
		"args":["sh"],"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"ambient":[]},
		"oomScoreAdj":-500,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576}]}}`
	const want = `{"linux":{"big":12345678901234567890},"process":{"args":["sh"],"capabilities":{"ambient":[],"bounding":["CAP_CHOWN"]},"oomScoreAdj":0}}`
	for _, args := range [][]string{
		{"--root", "/run", "create", "--bundle", "BUNDLE", "id"}, {"create", "-b", "BUNDLE", "id"}, {"create", "--bundle=BUNDLE", "id"},
	} {
		bundle := t.TempDir()
		for i := range args {
			if args[i] == "BUNDLE" || args[i] == "--bundle=BUNDLE" {
				args[i] = args[i][:len(args[i])-len("BUNDLE")] + bundle
			}
		}
		file := write(t, filepath.Join(bundle, "config.json"), config)
		if err := restrict(args); err != nil {
			t.Fatal(err)
		}
		if got := read(t, file); got != want {
			t.Errorf("%v: the configuration is %s, want %s", args, got, want)
		}
	}
}

func TestRestrictProcessOfAnExec(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "process.json"), `{"oomScoreAdj":100,"capabilities":{"effective":["CAP_SYS_RESOURCE"]}}`)
	if err := restrict([]string{"exec", "--process", file, "id"}); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, file), `{"capabilities":{"effective":[]},"oomScoreAdj":100}`; got != want {
		t.Errorf("the process is %s, want %s", got, want)
	}
}

func TestRestrictLeavesOtherCommandsAlone(t *testing.T) {
	if err := restrict([]string{"--root", "/run", "delete", "id"}); err != nil {
		t.Error(err)
	}
	if err := restrict([]string{"create", "--bundle", t.TempDir()}); err == nil {
		t.Error("a bundle without a configuration is taken")
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if !json.Valid([]byte(text)) {
		t.Fatalf("%s is no JSON", text)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
