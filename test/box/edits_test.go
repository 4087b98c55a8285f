package box

import (
	"net/http"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/load"
)

// TestStale: an answer may be of a save that is not told to be live yet, and of
// none older than one that was told before it was asked for.
func TestStale(t *testing.T) {
	noon := time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	asked := func(ms int, body string) load.Result {
		return load.Result{At: at(ms), Status: http.StatusOK, Body: body}
	}
	lives := []liveEdit{{at(100), 1}, {at(200), 2}, {at(300), 4}}
	for name, c := range map[string]struct {
		requests load.Results
		want     int
	}{
		"each in its time":         {load.Results{asked(0, "Hello World!"), asked(110, "Edit001 World!"), asked(210, "Edit002 World!"), asked(310, "Edit004 World!")}, 0},
		"before it was told":       {load.Results{asked(90, "Edit001 World!"), asked(190, "Edit002 World!")}, 0},
		"asked for before":         {load.Results{asked(100, "Hello World!"), asked(199, "Edit001 World!")}, 0},
		"the one of before":        {load.Results{asked(210, "Edit001 World!"), asked(310, "Edit002 World!")}, 2},
		"back and forth":           {load.Results{asked(310, "Edit004 World!"), asked(320, "Edit002 World!"), asked(330, "Edit004 World!")}, 1},
		"what no save says":        {load.Results{asked(110, "Hello World!")}, 1},
		"what failed is no answer": {load.Results{{At: at(110), Status: http.StatusBadGateway}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := stale(c.requests, lives); len(got) != c.want {
				t.Errorf("stale are %q, want %d", got, c.want)
			}
		})
	}
}
