package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Audience is for whom an activator's token is made, so that it is good for
// nothing else.
const Audience = "devbox-controller"

// Guard says whether whoever has the token may send a stream. What a stream
// says starts pods and makes revisions ready, and its port can be reached from
// every pod of the box.
type Guard func(ctx context.Context, token string) error

// errRefused is wrapped by a Guard's error when the token is not good enough.
var errRefused = errors.New("this token does not send a stream")

// Account lets in one ServiceAccount, with a token for Audience. C asks the
// API server, and has to know the kinds of authentication.k8s.io/v1.
func Account(c creator, namespace, name string) Guard {
	want := "system:serviceaccount:" + namespace + ":" + name
	return func(ctx context.Context, token string) error {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}}}
		if err := c.Create(ctx, review); err != nil {
			return fmt.Errorf("asking the API server whose token it is: %w", err)
		}
		switch user := review.Status.User.Username; {
		case !review.Status.Authenticated:
			return fmt.Errorf("%w: %s", errRefused, review.Status.Error)
		case user != want:
			return fmt.Errorf("%w: it is that of %s", errRefused, user)
		}
		return nil
	}
}

// creator is the part of controller-runtime's client that a review needs.
type creator interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
}

// guarded serves those requests with next that guards let in.
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
			switch err := guard(r.Context(), token); {
			case errors.Is(err, errRefused):
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			case err != nil:
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
