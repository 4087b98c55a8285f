package stream

import (
	"context"
	"net/http"
	"strings"
)

// Audience is for whom an activator's token is made, so that it is good for
// nothing else.
const Audience = "devbox-controller"

// Guard says whether whoever has the token may send a stream, and if not, why;
// its error says why it does not know. What a stream says starts pods and
// makes revisions ready, and its port can be reached from every pod of the
// box. Package account has one.
type Guard func(ctx context.Context, token string) (refusal string, err error)

// guarded serves those requests with next that all guards let in.
func guarded(next http.Handler, guards []Guard) http.Handler {
	if len(guards) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "want a token", http.StatusUnauthorized)
			return
		}
		for _, guard := range guards {
			switch refusal, err := guard(r.Context(), token); {
			case err != nil:
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			case refusal != "":
				http.Error(w, refusal, http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
