package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server is an address, or two, and what answers there, in HTTP/1.1 and in HTTP/2
// without TLS.
type Server struct {
	Listener net.Listener
	// Also is another listener, of the same; nil: there is none.
	Also    net.Listener
	Handler http.Handler
	// Drain, where there is one, counts Handler's requests.
	Drain *Drain
	// Quiet is how long no request may have come before the server leaves.
	Quiet time.Duration
	// Limit bounds the leaving. What is still in flight then is cut.
	Limit time.Duration
	// Upgraded says that upgraded connections are waited for too, within Limit:
	// nobody else does, and they end with the process.
	Upgraded bool
	Log      *slog.Logger
}

const (
	// headerTimeout is for clients that never finish a request's head.
	headerTimeout = 30 * time.Second
	// maxHeader is more than the gateway lets through (Envoy's limit is 60 KiB).
	maxHeader = 64 << 10
	// maxStreams is for a gateway that carries all its requests over one
	// HTTP/2 connection.
	maxStreams = 1000
	// StreamWindow is how much of a body net/http takes over HTTP/2 before
	// anybody reads it. Nothing here is far away, so it need not be large.
	StreamWindow = 128 << 10
	// farewellTime is for connections to be closed that carry nothing.
	farewellTime = 250 * time.Millisecond
)

// Serve answers until ctx ends, then drains and returns. It has no idle
// timeout on purpose: the side that sends requests is the one that closes
// idle connections.
func (s Server) Serve(ctx context.Context) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           s.Handler,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: StreamWindow},
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withSealed,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		// OPTIONS * is for the container to answer, like any other request.
		DisableGeneralOptionsHandler: true,
	}
	serving := []net.Listener{s.Listener}
	if s.Also != nil {
		serving = append(serving, s.Also)
	}
	ended := make(chan error, len(serving))
	for _, l := range serving {
		go func() { ended <- fmt.Errorf("serving %s: %w", l.Addr(), server.Serve(l)) }()
	}
	var failed error
	select {
	case failed = <-ended:
		_ = server.Close() // the other one goes with it
		ended <- http.ErrServerClosed
	case <-ctx.Done():
		s.leave(context.WithoutCancel(ctx), server)
	}
	for range serving {
		if err := <-ended; failed == nil && !errors.Is(err, http.ErrServerClosed) {
			failed = err
		}
	}
	return failed
}

// leave drains within the limit and closes what has not ended by then.
func (s Server) leave(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	if s.Drain == nil {
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // what is left is cut
		}
		return
	}
	s.Drain.Begin()
	err := s.Drain.Wait(ctx, s.Quiet)
	// Shutdown waits for requests, but up to 5 s as well for connections that
	// have never carried one. It gets time for its farewells only, and who is
	// waited for is who the Drain knows of.
	farewell, cancel := context.WithTimeout(ctx, farewellTime)
	defer cancel()
	if server.Shutdown(farewell) != nil {
		if err == nil {
			err = s.Drain.Wait(ctx, 0)
		}
		if err != nil {
			s.Log.Warn("requests are cut that are still in flight after the time to drain", "limit", s.Limit)
		}
		_ = server.Close() // nothing more can be done for the connections it closes
	}
	if s.Upgraded && s.Drain.WaitUpgraded(ctx) != nil {
		s.Log.Warn("upgraded connections are cut that are still open after the time to drain", "limit", s.Limit)
	}
}
