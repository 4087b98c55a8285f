package app

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher"
)

// standingPath is what a session is asked at its socket: by a service's name,
// which may have its namespace in front. The answer is a line of JSON for each
// Standing, as it comes, and ends with one that is Known.
const standingPath = "/standing"

// backlog is how many answers wait for who asked; the oldest gives way.
const backlog = 16

// takeQuestions lets others ask this session, until end is called. One that
// cannot be asked works all the same, and says so.
func (d *devbox) takeQuestions(ctx context.Context, events event.Sink) (questions <-chan *watcher.Question, end func()) {
	listener, err := bootstrap.ListenAsSession(ctx, d.name)
	if err != nil {
		events.Emit(event.Event{
			Kind: event.Warning, Message: err.Error(),
			Hint: "`" + d.command("wait") + "` cannot ask this session; a shorter XDG_CONFIG_HOME may help",
		})
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	asked := make(chan *watcher.Question)
	mux := http.NewServeMux()
	mux.Handle("GET "+standingPath, standings(asked))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until it is closed
	}()
	return asked, func() {
		cancel()
		_ = server.Close() // it has nothing to lose
		<-done
	}
}

// standings hands what is asked to the loop, and what that says back.
func standings(asked chan<- *watcher.Question) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		told := make(chan watcher.Standing, backlog)
		q := &watcher.Question{
			Namespace: r.FormValue("namespace"), Name: r.FormValue("service"), Gone: ctx.Done(),
			Tell: func(s watcher.Standing) {
				if len(told) == backlog { // the loop alone adds to it
					select {
					case <-told:
					default:
					}
				}
				told <- s
			},
		}
		select {
		case asked <- q:
		case <-ctx.Done(): // before the box was up
			return
		}
		lines, control := json.NewEncoder(w), http.NewResponseController(w)
		for {
			select {
			case s := <-told:
				if lines.Encode(s) != nil || control.Flush() != nil || s.Known() {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}
