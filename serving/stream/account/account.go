// Package account asks the API server whose token a stream comes with. It is
// apart from the stream because it needs Kubernetes' types, and the stream
// needs none.
package account

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Only returns a stream.Guard that lets in one ServiceAccount, with a token
// made for audience. C asks the API server; controller-runtime's client is
// one, with a scheme that has the kinds of authentication.k8s.io/v1.
func Only(c creator, namespace, name, audience string) func(ctx context.Context, token string) (refusal string, err error) {
	want := "system:serviceaccount:" + namespace + ":" + name
	return func(ctx context.Context, token string) (string, error) {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}}}
		if err := c.Create(ctx, review); err != nil {
			return "", fmt.Errorf("asking the API server whose token it is: %w", err)
		}
		switch user := review.Status.User.Username; {
		case !review.Status.Authenticated:
			return "the API server does not know this token: " + review.Status.Error, nil
		case user != want:
			return "this is the token of " + user, nil
		}
		return "", nil
	}
}

// creator is the part of a client that a review needs.
type creator interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
}
