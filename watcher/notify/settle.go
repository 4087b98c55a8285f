package notify

import (
	"context"
	"slices"
	"time"
)

// holdPoll is how often git is looked at while it is at work.
const holdPoll = 50 * time.Millisecond

// settle gathers changes into batches. A batch is sent when nothing has
// changed for a while and nobody is busy in the tree, or when either has gone
// on for too long. What changes while nobody takes a batch goes into it.
func settle(ctx context.Context, in <-chan change, out chan<- Batch, o Options, busy func() bool) {
	quiet := time.NewTimer(0)
	quiet.Stop()
	defer quiet.Stop()
	files := map[string]bool{}
	var pending Batch
	var ready chan<- Batch // out while pending is settled
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-in:
			if pending.First.IsZero() {
				pending.First = c.at
			}
			if c.file == "" {
				pending.Rescan = true
			} else {
				files[c.file] = true
			}
			ready = nil
			quiet.Reset(o.wait(len(files), time.Since(pending.First)))
		case <-quiet.C:
			if time.Since(pending.First) < o.HoldCap && busy() {
				quiet.Reset(holdPoll)
				continue
			}
			pending.Files = sorted(files)
			ready = out
		case ready <- pending:
			pending, ready = Batch{}, nil
			clear(files)
		}
	}
}

// wait is how long nothing more must change, in a batch of n files that began
// some time ago.
func (o Options) wait(n int, age time.Duration) time.Duration {
	quiet := o.Quiet
	if n > many {
		quiet = o.QuietMany
	}
	return max(min(quiet, o.Cap-age), 0)
}

func sorted(files map[string]bool) []string {
	list := make([]string, 0, len(files))
	for f := range files {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}
