package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUsages(t *testing.T) {
	got := usages(`aa 1500 us 4096 1024
bb 1500 ns 4096 8192
cc 1500 ns
dd x us 1 1
`)
	want := map[string]Usage{"aa": {CPU: 1500 * time.Microsecond, Memory: 3072}, "bb": {CPU: 1500}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read something else (-want +got):\n%s", diff)
	}
}
