package compare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/load"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Config says what is compared, and where.
type Config struct {
	Service *servingv1.Service // the program, as its manifest has it
	Image   string             // that was built for it, in the box's registry
	Gateway string             // as in http://127.0.0.1:8080
	Domain  string
	Client  client.Client
	// Usage reads what containers of the box have taken so far, by their IDs.
	Usage func(context.Context, []string) (map[string]Usage, error)

	Rounds   int           // of first requests, and of turns of load
	Duration time.Duration // of each load of a turn
	Rate     load.Rate     // of the first of its two loads

	Events event.Sink
}

const (
	firsts  = 5  // requests that are sent one by one
	workers = 16 // requests in flight of a load that goes as fast as it can
	warming = 50 // requests that nobody counts, before the first turn

	requestLimit = 30 * time.Second // of one request
	patience     = 2 * time.Second  // for the last answers, once a load was cut short
	giveUp       = 5 * time.Second  // without any answer, the box is gone
	removal      = goneLimit        // of what was put into the cluster
)

// Steps of a comparison, as its events name them.
const (
	stepStage = "variants"
	stepFirst = "first requests"
	stepLoad  = "load"
	stepClear = "removal"
)

// Run compares the variants. It returns a report where there was at least one
// whole turn of load, also beside an error.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	s := &stage{client: cfg.Client, gateway: cfg.Gateway, program: program{cfg.Service, cfg.Image, cfg.Domain}}
	r := &run{cfg: cfg, stage: s, began: time.Now(), results: map[string]*Result{}}
	for _, v := range Variants {
		r.results[v.Name] = &Result{Variant: v.Name, Serving: v.Serving, Sidecar: v.Sidecar, Host: v.host(cfg.Domain)}
	}
	defer func() { err = errors.Join(err, r.clear(context.WithoutCancel(ctx))) }()
	err = r.all(ctx)
	if r.rounds == 0 {
		return nil, err
	}
	return r.report(), err
}

// run is a comparison on its way.
type run struct {
	cfg     Config
	stage   *stage
	began   time.Time
	results map[string]*Result
	rounds  int // whole turns of load
}

// all is the comparison, but its end.
func (r *run) all(ctx context.Context) error {
	if err := r.step(stepStage, func() (string, error) {
		if err := r.stage.clear(ctx); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d variants answer", len(Variants)), r.stage.set(ctx)
	}); err != nil {
		return err
	}
	if err := r.step(stepFirst, func() (string, error) {
		return fmt.Sprintf("%d rounds of %d for each", r.cfg.Rounds, firsts), r.firstRequests(ctx)
	}); err != nil {
		return err
	}
	return r.step(stepLoad, func() (string, error) {
		return fmt.Sprintf("%d turns of each", r.cfg.Rounds), r.turns(ctx)
	})
}

// clear removes what there is in the cluster, whatever has happened.
func (r *run) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removal)
	defer cancel()
	return r.step(stepClear, func() (string, error) {
		return "namespace " + Namespace + " is gone", r.stage.clear(ctx)
	})
}

// step does a part of the comparison, and tells of it.
func (r *run) step(name string, do func() (string, error)) error {
	began := time.Now()
	r.cfg.Events.Emit(event.Event{Kind: event.StepStarted, Step: name})
	done, err := do()
	e := event.Event{Kind: event.StepDone, Step: name, Message: done, Duration: time.Since(began)}
	if err != nil {
		e.Kind, e.Message, e.Error = event.StepFailed, "", err.Error()
	}
	r.cfg.Events.Emit(e)
	return err
}

func (r *run) tell(step, format string, args ...any) {
	r.cfg.Events.Emit(event.Event{Kind: event.StepProgress, Step: step, Message: fmt.Sprintf(format, args...)})
}

// turn is the variants in the order of a round: each round another is first.
func turn(round int) []Variant {
	n := round % len(Variants)
	return append(append([]Variant{}, Variants[n:]...), Variants[:n]...)
}

// firstRequests sends the first requests of each variant, one by one, to those
// of the serving stack when they are at zero.
func (r *run) firstRequests(ctx context.Context) error {
	for round := range r.cfg.Rounds {
		for _, v := range Variants {
			if v.Serving {
				r.tell(stepFirst, "round %d of %d: waiting until %s is at zero", round+1, r.cfg.Rounds, v.Name)
				if err := r.stage.count(ctx, v, 0, zeroLimit); err != nil {
					return err
				}
			}
		}
		if round == 0 {
			if err := r.idle(ctx); err != nil {
				return err
			}
		}
		for _, v := range turn(round) {
			if err := r.first(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// first sends the first requests of one variant.
func (r *run) first(ctx context.Context, v Variant) error {
	var sent []Request
	for range firsts {
		one, err := r.curl(ctx, v)
		if err != nil {
			return err
		}
		sent = append(sent, one)
	}
	result := r.results[v.Name]
	result.First = append(result.First, sent)
	r.tell(stepFirst, "%s: %s, then %s", v.Name, millis(sent[0].Total), millis(sent[firsts-1].Total))
	return nil
}

func (r *run) curl(ctx context.Context, v Variant) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	return curl(ctx, r.cfg.Gateway, v.host(r.cfg.Domain))
}

// idle looks at what each variant takes while nobody asks.
func (r *run) idle(ctx context.Context) error {
	way, err := r.stage.way(ctx)
	if err != nil {
		return err
	}
	pods, err := r.stage.pods(ctx)
	if err != nil {
		return err
	}
	for _, v := range Variants {
		used, err := r.cfg.Usage(ctx, ids(way[v.Name]))
		if err != nil {
			return err
		}
		idle := Idle{Pods: len(pods[v.Name])}
		for _, p := range way[v.Name] {
			if !p.shared {
				idle.Memory += used[p.id].Memory
			}
		}
		r.results[v.Name].Idle = idle
	}
	return nil
}

// turns puts the loads on the variants, one after the other.
func (r *run) turns(ctx context.Context) error {
	r.tell(stepLoad, "a pod of each that stays")
	if err := r.stage.keep(ctx); err != nil {
		return err
	}
	for _, v := range Variants {
		if _, err := r.load(ctx, v, load.Rate{}, warming, 0); err != nil {
			return err
		}
	}
	for round := range r.cfg.Rounds {
		got := map[string]*measured{} // a round counts as a whole, or not
		for _, v := range turn(round) {
			r.tell(stepLoad, "round %d of %d: %s", round+1, r.cfg.Rounds, v.Name)
			m, err := r.measure(ctx, v)
			if err != nil {
				return err
			}
			got[v.Name] = m
		}
		for name, m := range got {
			r.results[name].add(m)
		}
		r.rounds++
	}
	return nil
}

// measured is what came of one turn of a variant.
type measured struct {
	rated, fast loaded
	taken       map[string]Usage // by the containers on the way, under the fast one
	way         []place
	pods        int
}

// measure puts both loads on a variant, and looks what they take.
func (r *run) measure(ctx context.Context, v Variant) (*measured, error) {
	ways, err := r.stage.way(ctx)
	if err != nil {
		return nil, err
	}
	way := ways[v.Name]
	m := &measured{way: way}
	if m.rated, err = r.load(ctx, v, r.cfg.Rate, 0, r.cfg.Duration); err != nil {
		return nil, err
	}
	before, err := r.cfg.Usage(ctx, ids(way))
	if err != nil {
		return nil, err
	}
	if m.fast, err = r.load(ctx, v, load.Rate{}, 0, r.cfg.Duration); err != nil {
		return nil, err
	}
	after, err := r.cfg.Usage(ctx, ids(way))
	if err != nil {
		return nil, err
	}
	pods, err := r.stage.pods(ctx)
	m.taken, m.pods = taken(way, before, after), len(pods[v.Name])
	return m, err
}

// loaded is what came of one load.
type loaded struct {
	answered []time.Duration // the latencies of the successful
	failed   int
	took     time.Duration
}

// load puts a load on a variant, until so many requests were sent or so much
// time has passed; 0 is no bound.
func (r *run) load(ctx context.Context, v Variant, rate load.Rate, requests uint64, d time.Duration) (loaded, error) {
	at, err := url.Parse(r.cfg.Gateway)
	if err != nil {
		return loaded{}, fmt.Errorf("finding the gateway: %w", err)
	}
	plan := load.Plan{
		Gateway: at.Host, Rate: rate, Duration: d, MaxRequests: requests, MaxWorkers: workers, Timeout: requestLimit,
		Targets:  []load.Target{{Method: http.MethodGet, URL: "http://" + v.host(r.cfg.Domain) + "/"}},
		Patience: patience, GiveUp: giveUp,
	}
	if !rate.Unbound() {
		plan.MaxWorkers = uint64(max(workers, int(rate.PerSecond()))) // a second of answers that do not come
	}
	var l loaded
	ending, err := load.Run(ctx, plan, func(h load.Hit) {
		if h.Failed() {
			l.failed++
		} else {
			l.answered = append(l.answered, h.Latency)
		}
	})
	l.took = ending.Sending
	if err != nil {
		return l, fmt.Errorf("loading %s: %w", v.Name, err)
	}
	return l, context.Cause(ctx)
}
