package load

import (
	"strings"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"50/1s": {50, time.Second}, "50": {50, time.Second}, "50/s": {50, time.Second}, "3/m": {3, time.Minute},
		"1/500ms": {1, 500 * time.Millisecond}, "0": {}, "0/1s": {}, "infinity": {},
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for text, part := range map[string]string{
		"": "is no rate", "fast": "is no rate", "-1/s": "is no rate", "1.5/s": "is no rate", "50/": "what follows the slash",
		"50/0s": "what follows the slash", "50/-1s": "what follows the slash", "50/week": "what follows the slash",
		"2000000/s": "one machine", "9/1ns": "one machine", "99999999999999999999": "is no rate",
	} {
		if got, err := ParseRate(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is %v, %v; want an error with %q", text, got, err, part)
		}
	}
}

func TestRequestsAreDueEvenly(t *testing.T) {
	for _, r := range []Rate{{50, time.Second}, {3, time.Second}, {7, time.Minute}, {100_000, time.Second}} {
		last := time.Duration(-1)
		for n := range uint64(1000) {
			due := r.due(n)
			if due <= last {
				t.Fatalf("%s: request %d is due at %s, the one before it at %s", r, n, due, last)
			}
			last = due
			if got := r.within(due); got != n {
				t.Fatalf("%s: %d requests are due before %s; want %d", r, got, due, n)
			}
		}
		if got, want := r.within(10*r.Per), uint64(10*r.Freq); got != want {
			t.Errorf("%s: %d requests are due in ten times %s; want %d", r, got, r.Per, want)
		}
	}
}
