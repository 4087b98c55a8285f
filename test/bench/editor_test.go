//go:build e2e

package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/box"
)

// editor is somebody at work on one service, which is test/subject.
type editor struct {
	*box.Box
	name, dir string
	took      []time.Duration // of each edit, until a client saw its answer
}

// editInTurns saves edits of each editor's service, one after another, and
// returns how many of the requests failed that were sent meanwhile.
func editInTurns(b *testing.B, editors ...*editor) (failed int) {
	b.Helper()
	polls := make([]*box.Poller, len(editors))
	for i, e := range editors {
		polls[i] = e.Poll(e.name+".default.example.com", 20*time.Millisecond)
	}
	last := "one"
	for i := range edits {
		word := fmt.Sprintf("edit%02d", i)
		for j, e := range editors {
			time.Sleep(pause)
			start := time.Now()
			box.Edit(b, filepath.Join(e.dir, "main.go"), `word = "`+last+`"`, `word = "`+word+`"`)
			at, ok := polls[j].Await(fmt.Sprintf("%s-%05d %s 1", e.name, i+2, word), time.Minute)
			if !ok {
				b.Fatalf("no answer of edit %d of %s in a minute", i, e.name)
			}
			e.took = append(e.took, at.Sub(start))
		}
		last = word
	}
	for i, e := range editors {
		requests, failures, _ := polls[i].Stop()
		failed += len(failures)
		b.Logf("%s in box %s: %d requests, failed: %s", e.name, e.Name(), requests, strings.Join(failures, "\n"))
	}
	return failed
}
