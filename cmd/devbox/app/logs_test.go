package app

import (
	"errors"
	"testing"

	"github.com/kind-in-a-box/devbox/internal/tail"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestLogsOf: a name may have its namespace in front, of a service and of a Pod.
func TestLogsOf(t *testing.T) {
	c, _, _ := twoRevisions(t)
	for name, want := range map[string]*tail.Tailer{
		"hello":                   {Selector: servingv1.ServiceLabel + "=hello"},
		"default/hello":           {Namespace: "default", Selector: servingv1.ServiceLabel + "=hello"},
		"default/hello-00001-pod": {Namespace: "default", Pod: "hello-00001-pod"},
	} {
		var got tail.Tailer
		if err := c.logsOf(t.Context(), name, &got); err != nil || got.Namespace != want.Namespace || got.Selector != want.Selector || got.Pod != want.Pod {
			t.Errorf("%s: %q, %q, %q: %v", name, got.Namespace, got.Selector, got.Pod, err)
		}
	}
	for _, name := range []string{"other/hello", "other/hello-00001-pod"} {
		var got tail.Tailer
		err := c.logsOf(t.Context(), name, &got)
		if p, ok := errors.AsType[*problem](err); !ok || p.code != codeUsage {
			t.Errorf("%s: %v, want that there is none", name, err)
		}
	}
}
