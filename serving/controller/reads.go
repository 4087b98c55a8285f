package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// catchUp is how long a read waits for the cache to have our own writes. It
// has them within milliseconds, while its watch stands.
const catchUp = time.Second

// newClient makes the client of a manager: reads come from the cache, as soon
// as it has what we wrote. Where the cache does not get there, the server is
// asked itself. It may never get there: while the API server is away a watch
// is lost, and what was written just before and is gone when the watch is back
// has left nothing in it that would say so.
func newClient(config *rest.Config, options client.Options) (client.Client, error) {
	cached, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	live, err := client.New(config, client.Options{HTTPClient: options.HTTPClient, Scheme: options.Scheme, Mapper: options.Mapper})
	if err != nil {
		return nil, fmt.Errorf("making a client that reads from the server: %w", err)
	}
	return &reads{Client: cached, live: live}, nil
}

// reads is a client that reads from the cache or, where that is behind, from
// the server.
type reads struct {
	client.Client
	live client.Reader
}

// Get implements client.Reader.
func (r *reads) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return r.read(ctx, func(ctx context.Context, from client.Reader) error { return from.Get(ctx, key, obj, opts...) })
}

// List implements client.Reader.
func (r *reads) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return r.read(ctx, func(ctx context.Context, from client.Reader) error { return from.List(ctx, list, opts...) })
}

func (r *reads) read(ctx context.Context, from func(context.Context, client.Reader) error) error {
	soon, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	err := from(soon, r.Client)
	if err == nil || soon.Err() == nil || ctx.Err() != nil {
		return err
	}
	return from(ctx, r.live)
}
