package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// gather is how long spans wait for others to go with.
	gather = 500 * time.Millisecond
	// patience is how long a collector may take for a batch.
	patience = 5 * time.Second
	// farewell is how long it may take for the last one.
	farewell = 500 * time.Millisecond
	// mostAnswer is what is read of its answer.
	mostAnswer = 4 << 10
)

// newClient returns a client for one collector. It follows nobody elsewhere.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			MaxConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: mostAnswer, ReadBufferSize: mostAnswer, WriteBufferSize: mostAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run sends spans until ctx ends, and then those that wait.
func (t *Tracer) Run(ctx context.Context) {
	defer t.client.CloseIdleConnections()
	failing := false
	for {
		select {
		case <-t.wake:
			t.gather(ctx)
		case <-ctx.Done():
		}
		limit := patience
		if ctx.Err() != nil {
			limit = farewell
		}
		err := t.flush(context.WithoutCancel(ctx), limit)
		switch {
		case err != nil && !failing:
			t.log.Warn("spans are dropped", "error", err)
		case err == nil && failing:
			t.log.Info("spans are taken again")
		}
		failing = err != nil
		if ctx.Err() != nil {
			return
		}
	}
}

// gather waits for more, unless there is much already.
func (t *Tracer) gather(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for !t.halfFull() {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case <-t.wake:
		}
	}
}

// flush sends what waits. What the collector does not take within the limit is
// dropped: whoever sent it again would soon have more than there is room for.
func (t *Tracer) flush(ctx context.Context, limit time.Duration) error {
	spans := t.take()
	r := t.now.Load()
	if len(spans) == 0 || r == nil {
		return nil // what was recorded before it was turned off is not asked for any more
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := t.post(ctx, r.Settings, spans)
	if err != nil {
		t.dropped.Add(uint64(len(spans)))
	}
	return err
}

func (t *Tracer) post(ctx context.Context, s Settings, spans []Span) error {
	body, kind := encodeOTLP(t.service, spans), "application/x-protobuf"
	if s.Protocol == Zipkin {
		var err error
		if body, err = encodeZipkin(t.service, spans); err != nil {
			return fmt.Errorf("writing spans: %w", err)
		}
		kind = "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header["Content-Type"] = []string{kind}
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("sending spans: %w", err)
	}
	defer resp.Body.Close()
	// Read to its end, where that is near, so that the connection is kept.
	_, _ = io.CopyN(io.Discard, resp.Body, mostAnswer)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("sending spans to %s: it says %s", req.URL.Redacted(), resp.Status)
	}
	return nil
}
