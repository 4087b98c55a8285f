package controller

import (
	"fmt"
	"testing"
)

// TestAResyncWritesNothing: where nothing has changed no request is sent that could
// change something, though the API server would make nothing of it: of hundreds of
// services each would be one.
func TestAResyncWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		name := fmt.Sprintf("hello-%d", i)
		w.live(name, "dev.local/hello:1", name+"-00001")
		w.live(name, "dev.local/hello:2", name+"-00002")
	}
	w.mapping(w.namespace, w.namespace+".example.org", "Service", "hello-0")
	w.settle()
	before := w.writes.Load()
	w.resync()
	if after := w.writes.Load(); after != before || before == 0 {
		t.Errorf("%d writes before a resync, and %d after it", before, after)
	}
}
