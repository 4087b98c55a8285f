package controller

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	// headTime and leaveTime bound what a client of the health address can
	// hold up.
	headTime  = 5 * time.Second
	leaveTime = time.Second
)

// serveHealth answers at the health address as long as the manager runs, from
// before its caches know anything.
func (c *Controller) serveHealth(address string) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("opening the health address: %w", err)
	}
	limit := leaveTime
	return c.manager.Add(&manager.Server{
		Name: "health", Listener: listener, ShutdownTimeout: &limit,
		Server: &http.Server{Handler: c.health(), ReadHeaderTimeout: headTime},
	})
}

// health answers kubelet, and whoever reads numbers or has some.
func (c *Controller) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := c.synced(r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.Handle("PUT /loop", c.Loop())
	mux.Handle("/standby", c.Standby())
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		c.WriteMetrics(w)
	})
	return mux
}

// Standby is where pods that stand by wait for their orders.
func (c *Controller) Standby() http.Handler { return c.standby.desk }

// Loop takes what a session of `devbox up` has counted, to be served with the
// controller's own numbers.
func (c *Controller) Loop() http.Handler { return &c.session }
