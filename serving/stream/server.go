package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// sourceHeader names the activator that sends a stream.
	sourceHeader = "Devbox-Activator"

	// Each end says something at least every beatEvery, and takes the other
	// for dead when it has heard nothing for deadAfter.
	beatEvery = time.Second
	deadAfter = 5 * time.Second

	maxLine = 64 << 10
)

var errSilent = errors.New("nothing heard for " + deadAfter.String())

// Receiver takes what activators say. Source tells two activators apart and
// stays the same when one of them connects again. Calls about one source
// never overlap.
type Receiver interface {
	// Receive takes one message from source. The first of every connection
	// is empty: it says that source is there.
	Receive(source string, m Message)
	// Gone says that source's stream has ended and has not been taken up
	// again. Its numbers are void. Its pods are not: a pod that answered
	// goes on answering when the activator restarts.
	Gone(source string)
}

// Receivers hand everything to each of them, in order.
type Receivers []Receiver

// Receive implements Receiver.
func (r Receivers) Receive(source string, m Message) {
	for _, to := range r {
		to.Receive(source, m)
	}
}

// Gone implements Receiver.
func (r Receivers) Gone(source string) {
	for _, to := range r {
		to.Gone(source)
	}
}

// Serve takes streams for to from listener until ctx ends, and returns when
// all of them have ended. Guards say from whom; without any, from everybody
// who can reach listener.
func Serve(ctx context.Context, listener net.Listener, to Receiver, guards ...Guard) error {
	mux := http.NewServeMux()
	mux.Handle("POST "+Path, Handler(to, guards...))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: deadAfter,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// The streams end with ctx by themselves: this only waits for them.
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadAfter)
		defer cancel()
		stopped <- server.Shutdown(wait)
	})
	err := server.Serve(listener)
	if stop() {
		return fmt.Errorf("serving the stream: %w", err)
	}
	return <-stopped
}

// Handler takes streams for to from those that guards let in. A stream ends
// with its request's context, so the server's BaseContext should end when the
// server is to stop.
func Handler(to Receiver, guards ...Guard) http.Handler {
	return guarded(&handler{to: to, streams: make(map[string]*incoming)}, guards)
}

type handler struct {
	to      Receiver
	mu      sync.Mutex
	streams map[string]*incoming // by source
}

// incoming is one stream being read.
type incoming struct {
	end  func()        // makes the reading end
	done chan struct{} // closed when to has heard the last of it
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := r.Header.Get(sourceHeader)
	if r.Method != http.MethodPost || source == "" {
		http.Error(w, "want a POST with the header "+sourceHeader, http.StatusBadRequest)
		return
	}
	// Reading on while answering is what HTTP/2 does anyway; HTTP/1.1 needs
	// to be asked.
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &incoming{end: cancel, done: make(chan struct{})}
	h.enter(source, s)
	defer h.leave(source, s)

	// A connection is one stream; net/http's loop must not read on behind it.
	w.Header().Set("Connection", "close")
	h.to.Receive(source, Message{})
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	beating.Go(func() { beat(ctx, w, control) })
	if err := h.read(ctx, source, r, control); err != nil {
		cancel()
		beating.Wait() // the answer is this goroutine's again
		fmt.Fprintln(w, err)
	}
}

// enter makes s the stream of source. Where an older one is still being read,
// because its loss has not been noticed, s takes over when that has ended.
func (h *handler) enter(source string, s *incoming) {
	h.mu.Lock()
	old := h.streams[source]
	h.streams[source] = s
	h.mu.Unlock()
	if old != nil {
		old.end()
		<-old.done
	}
}

func (h *handler) leave(source string, s *incoming) {
	h.mu.Lock()
	last := h.streams[source] == s
	h.mu.Unlock()
	if last {
		// s stays listed meanwhile, so a new stream waits until this is told.
		h.to.Gone(source)
	}
	h.mu.Lock()
	if h.streams[source] == s {
		delete(h.streams, source)
	}
	h.mu.Unlock()
	close(s.done)
}

// read hands over messages until the stream ends. Its error is for the
// activator: what was wrong with a line.
func (h *handler) read(ctx context.Context, source string, r *http.Request, control *http.ResponseController) error {
	// A read in progress only ends by a deadline that has passed.
	defer context.AfterFunc(ctx, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })()
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, maxLine)
	for h.extend(ctx, control) && lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var m Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("decoding a line: %w", err)
		}
		h.to.Receive(source, m)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return lines.Err()
	}
	return nil
}

// extend gives the activator another deadAfter for its next line, unless the
// stream is to end.
func (h *handler) extend(ctx context.Context, control *http.ResponseController) bool {
	_ = control.SetReadDeadline(time.Now().Add(deadAfter))
	if ctx.Err() != nil {
		// The stream's end may have set its deadline just before.
		_ = control.SetReadDeadline(time.Unix(1, 0))
		return false
	}
	return true
}

// beat accepts the stream and tells the activator once a second that it is
// heard.
func beat(ctx context.Context, w http.ResponseWriter, control *http.ResponseController) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
