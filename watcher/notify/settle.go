package notify

import (
	"context"
	"slices"
	"time"
)

const (
	moment   = 2 * time.Millisecond  // longer than an editor takes from emptying a file to filling it
	holdPoll = 50 * time.Millisecond // how often git is looked at while it is at work
	holdTold = time.Second           // after how long somebody is told of it
)

// settle gathers changes into batches. A batch is sent when nothing has
// changed for a while and nobody is busy in the tree, or when either has gone
// on for too long. What changes while nobody takes a batch goes into it.
// busy names what holds a batch that began at some time, if anything does.
func settle(ctx context.Context, in <-chan change, out chan<- Batch, o Options, busy func(since time.Time) string) {
	quiet := time.NewTimer(0)
	quiet.Stop()
	defer quiet.Stop()
	rest := time.NewTimer(0)
	rest.Stop()
	defer rest.Stop()
	files := map[string]bool{}
	var pending Batch
	told := false          // of what holds pending
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
			rest.Reset(moment)
		case <-rest.C:
			if o.Stirred != nil && len(files) <= many && !pending.Rescan && busy(pending.First) == "" {
				o.Stirred(sorted(files))
			}
		case <-quiet.C:
			age := time.Since(pending.First)
			if lock := busy(pending.First); lock != "" && age < o.HoldCap {
				if age >= holdTold && !told && o.Held != nil {
					told = true
					o.Held(lock)
				}
				quiet.Reset(holdPoll)
				continue
			}
			pending.Files = sorted(files)
			ready = out
		case ready <- pending:
			pending, ready, told = Batch{}, nil, false
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
