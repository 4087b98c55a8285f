// Package page is `devbox ui`: one page in a browser, about one box, live.
//
//	API server --watch--> services \
//	metrics ----2 s-----> live      >-- hub --event stream--> the page (static/)
//	events.jsonl -------> edits    /                              |
//	                                                              v
//	API server <-- traffic ---- actions <---- requests with the token
//	gateway <------ a request --/
//
// It is served by a process of the person's own, on a loopback port, with the
// person's kubeconfig: nothing in the box gets rights for it, and it stays when
// the box goes away, says so, and recovers.
//
//	guard.go    who may ask: only this page, from this machine
//	stand.go    the box: there, away, back
//	services.go what the API server says, in words
//	edits.go    the events of the sessions, an edit each
//	live.go     the metrics: now, and the panels
//	cold.go     the last cold starts, out of the metrics
//	actions.go  what a person may change
//	compared.go the last comparison with Istio alone
package page

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/panel"
	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Box is a box as the page needs it.
type Box struct {
	Name, Engine    string
	Gateway, Domain string // as in http://127.0.0.1:8080 and example.com
	HTTPPort        int    // of the gateway
	Namespace       string // the only one that is looked at; "" for all
	REST            *rest.Config
	// Metrics are the families of the box's parts.
	Metrics func(context.Context) (map[string]*dto.MetricFamily, error)
	// Networks is how to read the networks of a service's pods that have a
	// sidecar; nil reads nothing.
	Networks func(client.Client, *servingv1.Service) func(context.Context) map[string]way.Network
	// Identity differs when a box of the same name is another one.
	Identity string
}

// Config is what the page needs.
type Config struct {
	// Find finds the box, whether it answers or not; an error says in words
	// why there is none. It is called every second.
	Find func() (Box, error)
	// Events is the file of the sessions' events.
	Events string
	// Comparison is the file of the last comparison, whether it is there or not.
	Comparison string
	// Token is asked for by everything but the page's own files.
	Token string
}

const (
	looks      = 450              // at the metrics, that are kept
	lookEvery  = 2 * time.Second  // so that they are of a quarter of an hour
	mostSeries = 4096             // of the metrics, that are kept: 15 MiB
	leave      = 2 * time.Second  // for requests to end, when the page does
	headLimit  = 10 * time.Second // for a request's head
)

// Server is the page of one box.
type Server struct {
	cfg  Config
	hub  *hub
	ring *panel.Ring
	cold coldStarts

	mu  sync.Mutex
	box *Box // nil while it is away
}

// New returns the page, which Serve serves.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, hub: newHub(), ring: panel.NewRing(looks, mostSeries)}
}

// Serve serves the page on a loopback listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler:           s.handler(l.Addr().(*net.TCPAddr).Port),
		ReadHeaderTimeout: headLimit, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the page: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), leave)
		defer cancel()
		return errors.Join(server.Shutdown(ending), server.Close())
	})
	group.Go(func() error { s.followEvents(ctx); return nil })
	group.Go(func() error { s.stand(ctx); return nil })
	return group.Wait()
}

// here is the box, nil while it is away.
func (s *Server) here() *Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.box
}
