package idle

import "testing"

func TestDue(t *testing.T) {
	const mib = 1 << 20
	var s state
	for _, step := range []struct {
		what string
		now  uint64
		due  bool
	}{
		{"it starts", 200 * mib, false},
		{"it has started", 201 * mib, true},
		{"it rests", 202 * mib, false},
		{"it works", 250 * mib, false},
		{"it goes on working", 300 * mib, false},
		{"it rests again", 301 * mib, true},
		{"little work", 310 * mib, false},
		{"and rest, which is not worth it", 311 * mib, false},
		{"by and by it is", 317*mib + mib/2, false},
		{"when it rests", 318 * mib, true},
	} {
		if got := s.due(step.now); got != step.due {
			t.Errorf("%s, %d MiB allocated: give back is %t, want %t", step.what, step.now/mib, got, step.due)
		}
	}
}

// What has been counted is what the process has allocated.
func TestAllocated(t *testing.T) {
	before := allocated()
	keep = make([]byte, 32<<20)
	if got := allocated() - before; got < 32<<20 {
		t.Errorf("%d bytes are counted after 32 MiB were allocated", got)
	}
}

var keep []byte
