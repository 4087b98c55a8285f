package app

import (
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher"
)

var update = flag.Bool("update", false, "write the fields that there are now into testdata")

// TestJSONFields holds what scripts read by `-o json` to the list in testdata: a
// field stays, with its name and kind, and new ones are added to the list.
func TestJSONFields(t *testing.T) {
	var lines []string
	for _, of := range []struct {
		command string
		prints  any
	}{
		{"status", status{}}, {"services", []serviceStatus{}}, {"revisions", []revisionStatus{}}, {"describe SERVICE", serviceDescription{}},
		{"describe SERVICE REVISION", revisionDescription{}}, {"traffic", division{}}, {"hold", traffic{}}, {"url", []address{}},
		{"wait", watcher.Standing{}}, {"images list", []wantedImage{}}, {"version", version{}}, {"doctor", []bootstrap.Finding{}}, {"up", event.Event{}},
	} {
		lines = append(lines, fields(of.command+" ", reflect.TypeOf(of.prints))...)
	}
	got, file := strings.Join(lines, "\n")+"\n", filepath.Join("testdata", "json-fields.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("scripts read these fields; -update takes in what was added (-want +got):\n%s", diff)
	}
}

// fields are the paths of a type's fields as JSON has them, each with its kind.
func fields(path string, of reflect.Type) []string {
	marshals := of.Implements(reflect.TypeFor[json.Marshaler]()) || of.Implements(reflect.TypeFor[encoding.TextMarshaler]())
	switch {
	case marshals:
		return []string{path + " " + of.String()}
	case of.Kind() == reflect.Pointer:
		return fields(path, of.Elem())
	case of.Kind() == reflect.Slice:
		return fields(path+"[]", of.Elem())
	case of.Kind() != reflect.Struct:
		return []string{fmt.Sprintf("%s %s", path, of.Kind())}
	}
	var all []string
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "":
			all = append(all, fields(path, f.Type)...)
		default:
			all = append(all, fields(path+"."+name, f.Type)...)
		}
	}
	return all
}
