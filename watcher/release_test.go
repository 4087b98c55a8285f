package watcher

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// pushes is a Releaser that pushes nothing.
type pushes struct{ from map[string]string }

func (n pushes) Release(_ context.Context, dir, importPath string) (string, error) {
	n.from[importPath] = dir
	return "example.com/" + filepath.Base(importPath) + "@sha256:1", nil
}

// TestReleases are the files as they are written, with images for what names a
// program, wherever that is, and nothing of the loop.
func TestReleases(t *testing.T) {
	root := project(t, map[string]string{
		"hello/main.go": program, "hello/.env": "PASSWORD=secret\n", "job/main.go": program, "plain/main.go": program,
		"hello/service.yaml": `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello # ours
spec:
  template:
    spec:
      containers:
      - name: hello
        env: [{name: TARGET, value: World}]
`,
		"hello/beside.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: job
  annotations: {built: "ko://example.com/project/job"}
spec:
  template:
    spec:
      containers:
      - image: ko://example.com/project/job
      - image: postgres:17
---
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
`,
		"hello/values.yaml": "replicas: 1\n",
	})
	targets, _, err := Discover(t.Context(), []string{"./hello", "./plain"})
	if err != nil {
		t.Fatal(err)
	}
	images := pushes{map[string]string{}}
	releases, err := Releases(t.Context(), targets, images)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range releases {
		got[r.Name] = string(r.Manifests)
	}
	want := map[string]string{
		"hello": `apiVersion: v1
kind: ConfigMap
metadata: {name: words}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: job
  annotations: {built: "example.com/job@sha256:1"}
spec:
  template:
    spec:
      containers:
        - image: example.com/job@sha256:1
        - image: postgres:17
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello # ours
spec:
  template:
    spec:
      containers:
        - name: hello
          env: [{name: TARGET, value: World}]
          image: example.com/hello@sha256:1
`,
		"plain": `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: plain
spec:
  template:
    spec:
      containers:
        - image: example.com/plain@sha256:1
`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if from := images.from["example.com/project/job"]; from != filepath.Join(root, "job") {
		t.Errorf("the job is built from %s", from)
	}
	if left := strings.Join(releases[0].LeftOut, "\n"); !strings.HasPrefix(left, "hello/values.yaml: ") {
		t.Errorf("left out are %s", left)
	}
}

// TestReleaseOfAMistake: nothing is built where a manifest cannot be read, and
// each mistake is named.
func TestReleaseOfAMistake(t *testing.T) {
	project(t, map[string]string{
		"a/main.go": program, "a/map.yaml": "apiVersion: v1\nkind: ConfigMap\n", "a/other.yaml": "apiVersion: v1\nkind: [\n",
	})
	targets, _, err := Discover(t.Context(), []string{"./a"})
	if err != nil {
		t.Fatal(err)
	}
	images := pushes{map[string]string{}}
	_, err = Releases(t.Context(), targets, images)
	if _, ok := errors.AsType[manifest.Problem](err); !ok || !strings.Contains(err.Error(), "a/map.yaml:1:") || !strings.Contains(err.Error(), "a/other.yaml:") {
		t.Errorf("%v", err)
	}
	if len(images.from) > 0 {
		t.Errorf("built all the same: %v", images.from)
	}
}
