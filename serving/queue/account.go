package queue

import (
	"context"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// account is what is noted of one request that is to be told of. Of all others
// there is none.
type account struct {
	witness *proxy.Witness // nil unless the client wants to know
	waited  time.Duration  // for its turn
}

type accountKey struct{}

// accountOf returns nil for a request that nobody asks about.
func accountOf(ctx context.Context) *account {
	a, _ := ctx.Value(accountKey{}).(*account)
	return a
}

// queueProxy is the name of this hop.
const queueProxy = "queue-proxy"

// told keeps account of the requests that are to be told of.
func (s *sidecar) told(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header[proxy.Trace] == nil {
			next.ServeHTTP(w, r)
			return
		}
		a := &account{witness: proxy.NewWitness(r, time.Now(), queueProxy, s.config.Labels.Pod)}
		ctx := context.WithValue(a.witness.Follow(r.Context()), accountKey{}, a)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// tell adds what was noted to the headers of an answer that begins now.
func (s *sidecar) tell(ctx context.Context, to http.Header) {
	if a := accountOf(ctx); a != nil {
		a.witness.Tell(to, s.config.Labels.Revision, a.waited, s.log)
	}
}

// enter waits for the request's turn.
func (s *sidecar) enter(ctx context.Context) error {
	a := accountOf(ctx)
	if a == nil {
		return s.breaker.Enter(ctx)
	}
	began := time.Now()
	err := s.breaker.Enter(ctx)
	a.waited = time.Since(began)
	return err
}
