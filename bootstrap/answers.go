package bootstrap

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Poll calls try until it is well or ctx ends; then the error says what was
// wrong last.
func Poll(ctx context.Context, interval time.Duration, try func(context.Context) error) error {
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), err)
		case <-time.After(interval):
		}
	}
}

// Expect asks url and is well when the status is one of those.
func Expect(ctx context.Context, client *http.Client, url string, statuses ...int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if !slices.Contains(statuses, res.StatusCode) {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}

// AwaitAnswers waits for what a developer will ask first: the gateway and the
// registry, by the ports of this machine.
func AwaitAnswers(ctx context.Context, box *Box) error {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if err := Poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		return Expect(ctx, &client, box.Gateway()+"/", http.StatusOK, http.StatusNotFound) // no service has this host
	}); err != nil {
		return fmt.Errorf("waiting for the gateway: %w", err)
	}
	if err := Poll(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		return Expect(ctx, &client, fmt.Sprintf("http://127.0.0.1:%d/v2/", box.RegistryPort), http.StatusOK)
	}); err != nil {
		return fmt.Errorf("waiting for the registry: %w", err)
	}
	return nil
}
