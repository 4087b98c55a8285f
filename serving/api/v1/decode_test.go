package v1_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

var update = flag.Bool("update", false, "write what is into the golden files")

// TestDecodeRefuses shows every mistake and what is said of it.
func TestDecodeRefuses(t *testing.T) {
	for _, archive := range []string{"refused", "files"} {
		var said strings.Builder
		bad, err := txtar.ParseFile(filepath.Join("testdata", archive+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range bad.Files {
			_, err := servingv1.Decode(f.Name, f.Data)
			if err == nil {
				t.Errorf("%s is accepted", f.Name)
			}
			fmt.Fprintf(&said, "%v\n", err)
		}
		golden(t, filepath.Join("testdata", archive+".golden"), said.String())
	}
}

// TestDecodeLeavesLimitsToTheServer: what a box's ConfigMaps may allow is not
// refused by what devbox was compiled with. charts.TestServerRefuses holds that the
// server refuses it, where they say nothing.
func TestDecodeLeavesLimitsToTheServer(t *testing.T) {
	limits, err := txtar.ParseFile("testdata/limits.txtar")
	if err != nil || len(limits.Files) == 0 {
		t.Fatal("no files found", err)
	}
	for _, f := range limits.Files {
		if _, err := servingv1.Decode(f.Name, f.Data); err != nil {
			t.Error(err)
		}
	}
}

func TestDecodeAccepts(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*/service.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples found", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := servingv1.Decode(file, data); err != nil {
			t.Error(err)
		}
	}
}

// TestDecodeLeavesAsWritten: an apply of the result claims only what its
// author wrote.
func TestDecodeLeavesAsWritten(t *testing.T) {
	s, err := servingv1.Decode("service.yaml", []byte(`
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec: {template: {spec: {containers: [{env: [{name: TARGET, value: World}]}]}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Spec.Traffic != nil || s.Spec.Template.Spec.TimeoutSeconds != nil || s.Spec.Template.Spec.Containers[0].Image != "" {
		t.Errorf("defaults were added: %+v", s.Spec)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update and look at the diff):\n%s", file, got)
	}
}

// An export of another cluster's has a status, of whatever version, and what its
// API server wrote into the metadata.
func TestDecodeExport(t *testing.T) {
	svc, err := servingv1.Decode("service.yaml", []byte(`
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
  uid: 0d1e1b1c-95a1-4a3f-8f0a-0a0b5c6d7e8f
  resourceVersion: "4711"
  generation: 7
  creationTimestamp: "2026-01-01T00:00:00Z"
  annotations: {serving.knative.dev/creator: alice, serving.knative.dev/lastModifier: bob}
  managedFields: [{manager: kubectl, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}]
spec:
  template:
    metadata: {creationTimestamp: null}
    spec: {containers: [{image: i, name: user-container, resources: {}}]}
status: {observedGeneration: 7, somethingNewer: true}
`))
	if err != nil || svc.Name != "hello" || svc.Status.ObservedGeneration != 0 {
		t.Errorf("got %+v, %v", svc, err)
	}
}
