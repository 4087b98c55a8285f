package notify

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSettle plays changes at given times and writes down which batches come
// when. All times are milliseconds since the start.
func TestSettle(t *testing.T) {
	type at struct {
		ms   int
		file string
	}
	storm := func(from, to, step int) (all []at) {
		for ms := from; ms <= to; ms += step {
			all = append(all, at{ms, "storm.go"})
		}
		return all
	}
	checkout := func(n int) (all []at) {
		for i := range n {
			all = append(all, at{0, fmt.Sprintf("%02d", i)})
		}
		return all
	}
	for name, c := range map[string]struct {
		changes []at
		git     [2]int // busy from, to
		want    string
	}{
		"one save":                     {[]at{{5, "a.go"}}, [2]int{}, "35: a.go since 5"},
		"a save in several writes":     {[]at{{0, "a.go"}, {20, "a.go"}, {45, "a.go"}}, [2]int{}, "75: a.go since 0"},
		"two saves":                    {[]at{{0, "a.go"}, {100, "b.go"}}, [2]int{}, "30: a.go since 0; 130: b.go since 100"},
		"save all":                     {[]at{{0, "b.go"}, {10, "a.go"}}, [2]int{}, "40: a.go b.go since 0"},
		"lost events":                  {[]at{{0, ""}}, [2]int{}, "30: rescan since 0"},
		"no end":                       {storm(0, 1500, 7), [2]int{}, "1000: storm.go since 0; 1528: storm.go since 1001"},
		"many files settle longer":     {append(checkout(25), at{150, "z"}), [2]int{}, "350: 26 files since 0"},
		"git holds":                    {[]at{{0, "a.go"}, {700, "b.go"}}, [2]int{0, 1000}, "1030: a.go b.go since 0"},
		"git holds before anything":    {[]at{{500, "a.go"}}, [2]int{0, 100}, "530: a.go since 500"},
		"git holds no longer than cap": {[]at{{0, "a.go"}}, [2]int{0, 60000}, "10030: a.go since 0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				since := func(t time.Time) int { return int(t.Sub(start).Milliseconds()) }
				ctx, cancel := context.WithCancel(t.Context())
				in, out := make(chan change), make(chan Batch)
				go settle(ctx, in, out, Options{}.withDefaults(), func(time.Time) string {
					if now := since(time.Now()); now < c.git[0] || now >= c.git[1] {
						return ""
					}
					return "index.lock"
				})
				go func() {
					for _, ch := range c.changes {
						time.Sleep(time.Duration(ch.ms)*time.Millisecond - time.Since(start))
						in <- change{file: ch.file, at: time.Now()}
					}
				}()
				go func() {
					time.Sleep(time.Minute)
					cancel()
				}()
				var got []string
				for done := false; !done; {
					select {
					case b := <-out:
						what := strings.Join(b.Files, " ")
						if len(b.Files) > many {
							what = fmt.Sprintf("%d files", len(b.Files))
						}
						if b.Rescan {
							what = "rescan"
						}
						got = append(got, fmt.Sprintf("%d: %s since %d", since(time.Now()), what, since(b.First)))
					case <-ctx.Done():
						done = true
					}
				}
				if got := strings.Join(got, "; "); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// TestAHoldIsTold once, when it has lasted a second.
func TestAHoldIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var told []string
		o := Options{Held: func(lock string) {
			told = append(told, fmt.Sprint(lock, " ", time.Since(start).Round(100*time.Millisecond)))
		}}.withDefaults()
		in, out := make(chan change), make(chan Batch)
		go settle(t.Context(), in, out, o, func(since time.Time) string {
			if time.Since(since) < 5*time.Second {
				return "index.lock"
			}
			return ""
		})
		in <- change{file: "a.go", at: start}
		<-out
		if fmt.Sprint(told) != "[index.lock 1s]" {
			t.Errorf("told %v", told)
		}
	})
}

// TestABatchGrowsUntilItIsTaken: a loop that is busy misses nothing.
func TestABatchGrowsUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan change), make(chan Batch)
		go settle(t.Context(), in, out, Options{}.withDefaults(), func(time.Time) string { return "" })
		in <- change{file: "a.go", at: time.Now()}
		time.Sleep(time.Second)
		in <- change{file: "b.go", at: time.Now()}
		time.Sleep(time.Second)
		if b := <-out; fmt.Sprint(b.Files) != "[a.go b.go]" {
			t.Errorf("batch = %v", b.Files)
		}
	})
}

// TestStirred: of a save is told at once, and of what goes on changing only
// when it rests; of a tree that git is at work in, not at all.
func TestStirred(t *testing.T) {
	for name, c := range map[string]struct {
		saves []string
		gap   time.Duration
		busy  string
		want  string
	}{
		"a save":             {[]string{"a.go"}, 0, "", "2: a.go"},
		"emptied and filled": {[]string{"a.go", "a.go"}, time.Millisecond, "", "3: a.go"},
		"save all":           {[]string{"a.go", "b.go"}, 10 * time.Millisecond, "", "2: a.go; 12: a.go b.go"},
		"a checkout":         {[]string{"a.go"}, 0, "index.lock", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var told []string
				o := Options{HoldCap: time.Second, Stirred: func(files []string) {
					told = append(told, fmt.Sprintf("%d: %s", time.Since(start).Milliseconds(), strings.Join(files, " ")))
				}}.withDefaults()
				in, out := make(chan change), make(chan Batch)
				go settle(t.Context(), in, out, o, func(time.Time) string { return c.busy })
				for i, file := range c.saves {
					time.Sleep(time.Duration(min(i, 1)) * c.gap)
					in <- change{file: file, at: time.Now()}
				}
				<-out
				if got := strings.Join(told, "; "); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
			})
		})
	}
}
