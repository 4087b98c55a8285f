package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Plan is a load. Everything in it is checked before it gets here.
type Plan struct {
	Gateway string // host:port; the one address that is ever connected to
	Targets []Target
	Rate    Rate
	// Duration is how long requests begin; 0 is until the context ends.
	Duration time.Duration
	// MaxRequests ends the load early; 0 is no bound.
	MaxRequests uint64
	// MaxWorkers is how many requests are in flight at most. One that is due
	// beyond them begins late.
	MaxWorkers     uint64
	MaxConnections int           // 0 is one for each request in flight
	Timeout        time.Duration // of one request; 0 is none
	NoKeepAlive    bool          // a connection for each request
	HTTP2          bool          // without TLS, and without asking first
	// Patience is how long answers are waited for after the context has ended.
	Patience time.Duration
	// GiveUp ends a load whose box is gone: no connection has had an answer
	// for so long. 0 never does. A load without a rate ends as soon as its
	// connections are refused: it would do nothing but count refusals.
	GiveUp time.Duration
	Dial   Dial // nil is TCP
}

// Result is what vegeta says of a request.
type Result = vegeta.Result

// Hit is one request and what came of it. Its Latency is counted from when it
// began, as vegeta's is; Late is how much after its time that was.
type Hit struct {
	*Result
	Late time.Duration
}

// Due is when the request was to begin.
func (h Hit) Due() time.Time { return h.Timestamp.Add(-h.Late) }

// Failed says that the request was not answered, or with a code that is no
// success. It is vegeta's word.
func (h Hit) Failed() bool { return h.Code < 200 || h.Code >= 400 }

// Ending is how a load ended.
type Ending struct {
	Began      time.Time
	Sending    time.Duration // from the begin until nothing was sent any more
	Unfinished int           // requests that nobody waited for any more, and that no Hit speaks of
}

// LostError says that the box went away under the load.
type LostError struct {
	After time.Duration // since the begin, when the last answer came
	Last  string        // what the last request met
}

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("the box went away under the load: nothing has answered since %s after its begin: %s", e.After.Round(time.Millisecond), e.Last)
}

// Run sends the requests of a plan until its duration or ctx ends, and calls
// observe with each as it ends, one at a time. The requests in flight at the
// end of the duration have their whole timeout. The error is a *LostError.
func Run(ctx context.Context, p Plan, observe func(Hit)) (Ending, error) {
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	began := time.Now()
	if p.Duration > 0 {
		timer := time.AfterFunc(p.Duration, func() { stop(errDone) })
		defer timer.Stop()
	}
	most := p.MaxRequests
	if most == 0 {
		most = math.MaxUint64
	}
	way := newRoad(p.Gateway, p.Dial)
	client := way.client(p)
	defer client.CloseIdleConnections()
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(min(p.MaxWorkers, vegeta.DefaultWorkers)), vegeta.MaxWorkers(p.MaxWorkers))

	ended := make(chan time.Duration, 1)
	defer context.AfterFunc(sending, func() {
		ended <- time.Since(began)
		attacker.Stop()
	})()
	finished := make(chan struct{})
	defer close(finished)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(p.Patience):
			way.close()
		case <-finished:
		}
	})()

	watch := lostWatch{giveUp: p.GiveUp, atOnce: p.Rate.Unbound(), answered: began}
	e := Ending{Began: began}
	for r := range attacker.Attack(static(p.Targets), pacer{sending.Done(), p.Rate, p.Duration, most, func() { stop(errDone) }}, 0, "") {
		if r.Code == 0 && way.isCut() {
			e.Unfinished++
			continue
		}
		hit := Hit{Result: r}
		if !p.Rate.Unbound() {
			hit.Late = max(0, r.Timestamp.Sub(began)-p.Rate.due(r.Seq))
		}
		observe(hit)
		if watch.lost(r) {
			stop(&LostError{After: watch.answered.Sub(began), Last: r.Error})
		}
	}
	stop(errDone)
	e.Sending = <-ended
	if lost, ok := errors.AsType[*LostError](context.Cause(sending)); ok {
		return e, lost
	}
	return e, nil
}

// errDone is the cause of a load's end in good order.
var errDone = errors.New("done")

// static hands out the targets in turn.
func static(targets []Target) vegeta.Targeter {
	all := make([]vegeta.Target, len(targets))
	for i, t := range targets {
		all[i] = vegeta.Target(t)
	}
	return vegeta.NewStaticTargeter(all...)
}

// fewest is how many requests in a row must have found nobody.
const fewest = 3

// lostWatch sees when a box is gone: for some time every request ended without
// an answer, and not because it took too long.
type lostWatch struct {
	giveUp   time.Duration
	atOnce   bool      // a refusal is enough
	answered time.Time // the last answer
	row      int       // requests since then that found nobody
}

func (w *lostWatch) lost(r *Result) bool {
	if r.Code != 0 || !unanswered(r.Error) {
		w.answered, w.row = r.End(), 0
		return false
	}
	w.row++
	if w.giveUp == 0 || w.row < fewest {
		return false
	}
	return r.End().Sub(w.answered) >= w.giveUp || w.atOnce && refused(r.Error)
}

// refused says that an error is of a port at which nobody listens.
func refused(text string) bool { return strings.Contains(text, "connection refused") }

// unanswered says that an error is of a connection that nobody serves. A
// request that took too long, or for which this machine has no socket left,
// says nothing about the other side.
func unanswered(text string) bool {
	return !strings.Contains(text, "Client.Timeout") && !OutOfSockets(text)
}
