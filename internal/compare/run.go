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

	Rounds   int           // of first requests, and of loads
	Duration time.Duration // of each load
	Rate     load.Rate     // of requests to each variant, of the load that all have together

	Events event.Sink
}

const (
	firsts  = 5  // requests that are sent one by one
	workers = 16 // requests in flight of a load that goes as fast as it can
	warming = 50 // requests that nobody counts, before the first turn

	requestLimit = 30 * time.Second // of one request
	patience     = 2 * time.Second  // for the last answers, once a load was cut short
	giveUp       = 5 * time.Second  // without any answer, the box is gone
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
	if err := s.clear(ctx); err != nil { // of one that was cut off
		return nil, err
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
		return fmt.Sprintf("%d variants answer", len(Variants)), r.stage.set(ctx)
	}); err != nil {
		return err
	}
	if err := r.step(stepFirst, func() (string, error) {
		return fmt.Sprintf("%s of %d for each", plural(r.cfg.Rounds, "round"), firsts), r.firstRequests(ctx)
	}); err != nil {
		return err
	}
	return r.step(stepLoad, func() (string, error) {
		return plural(r.cfg.Rounds, "round") + " of loads", r.turns(ctx)
	})
}

// clear removes what there is in the cluster, whatever has happened.
func (r *run) clear(ctx context.Context) error {
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
		if _, err := r.load(ctx, []Variant{v}, load.Rate{}, warming, 0); err != nil {
			return err
		}
	}
	for round := range r.cfg.Rounds {
		got, err := r.round(ctx, round)
		if err != nil {
			return err // a round counts as a whole, or not
		}
		for name, m := range got {
			r.results[name].add(m)
		}
		r.rounds++
	}
	return nil
}

// round puts a load on all variants together, whose requests go to one after
// the other, and then one on each, as fast as it goes.
func (r *run) round(ctx context.Context, round int) (map[string]*measured, error) {
	r.tell(stepLoad, "round %d of %d: all in turn, %s for each", round+1, r.cfg.Rounds, r.cfg.Rate)
	rated, err := r.load(ctx, square(Variants), r.cfg.Rate, 0, r.cfg.Duration)
	if err != nil {
		return nil, err
	}
	got := map[string]*measured{}
	for _, v := range turn(round) {
		r.tell(stepLoad, "round %d of %d: %s, as fast as it goes", round+1, r.cfg.Rounds, v.Name)
		m, err := r.fast(ctx, v)
		if err != nil {
			return nil, err
		}
		m.rated = rated[v.Name]
		got[v.Name] = m
	}
	return got, nil
}

// measured is what came of one turn of a variant.
type measured struct {
	rated, fast loaded
	taken       map[string]Usage // by the containers on the way, under the fast one
	way         []place
	pods        int
}

// fast puts a load on a variant that goes as fast as it can, and looks what
// it takes.
func (r *run) fast(ctx context.Context, v Variant) (*measured, error) {
	ways, err := r.stage.way(ctx)
	if err != nil {
		return nil, err
	}
	way := ways[v.Name]
	before, err := r.cfg.Usage(ctx, ids(way))
	if err != nil {
		return nil, err
	}
	loads, err := r.load(ctx, []Variant{v}, load.Rate{}, 0, r.cfg.Duration)
	if err != nil {
		return nil, err
	}
	after, err := r.cfg.Usage(ctx, ids(way))
	if err != nil {
		return nil, err
	}
	pods, err := r.stage.pods(ctx)
	return &measured{way: way, fast: loads[v.Name], taken: taken(way, before, after), pods: len(pods[v.Name])}, err
}

// square is four variants in an order in which each has every place equally
// often, and is once behind each other one: a Latin square of Williams'.
func square(of []Variant) []Variant {
	var all []Variant
	for row := range len(of) {
		for _, at := range [...]int{0, 1, 3, 2} {
			all = append(all, of[(row+at)%len(of)])
		}
	}
	return all
}

// loaded is what came of one load.
type loaded struct {
	answered []time.Duration // the latencies of the successful
	failed   int
	took     time.Duration
}

// load puts a load on variants in turn, at a rate for each of all, until so many
// requests were sent or so much time has passed; 0 is no bound.
func (r *run) load(ctx context.Context, of []Variant, rate load.Rate, requests uint64, d time.Duration) (map[string]loaded, error) {
	at, err := url.Parse(r.cfg.Gateway)
	if err != nil {
		return nil, fmt.Errorf("finding the gateway: %w", err)
	}
	plan := load.Plan{
		Gateway: at.Host, Rate: rate, Duration: d, MaxRequests: requests, MaxWorkers: workers, Timeout: requestLimit,
		Patience: patience, GiveUp: giveUp,
	}
	for _, v := range of {
		plan.Targets = append(plan.Targets, load.Target{Method: http.MethodGet, URL: "http://" + v.host(r.cfg.Domain) + "/"})
	}
	if !rate.Unbound() {
		plan.Rate.Freq *= len(Variants)
		plan.MaxWorkers = uint64(max(workers, int(plan.Rate.PerSecond()))) // a second of answers that do not come
	}
	got := map[string]loaded{}
	ending, err := load.Run(ctx, plan, func(h load.Hit) {
		v := of[h.Seq%uint64(len(of))]
		l := got[v.Name]
		if h.Failed() {
			l.failed++
		} else {
			l.answered = append(l.answered, h.Latency)
		}
		got[v.Name] = l
	})
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	for name, l := range got {
		l.took = ending.Sending
		got[name] = l
	}
	return got, context.Cause(ctx)
}
