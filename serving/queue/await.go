package queue

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// AwaitTimeout is how long Istio's sidecar may take to become ready: a hundred
// times what it takes.
const AwaitTimeout = 30 * time.Second

// Await asks url every few milliseconds until it answers 200. When ctx ends
// first, it returns why the last answer was none.
//
// It is what queue-proxy's postStart runs where a pod has Istio's sidecar:
// kubelet starts the containers after queue-proxy's when it has returned, and
// makes queue-proxy's beside Envoy's start (charts/istio/values/sidecar.yaml).
func Await(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	why := context.DeadlineExceeded
	for began := time.Now(); ; {
		if err = ok(req); err == nil {
			return nil
		}
		if ctx.Err() == nil {
			why = err
		}
		if !proxy.Sleep(ctx, min(proxy.ProbeAfter(time.Since(began)), awaitPeriod)) {
			return fmt.Errorf("GET %s: %w", url, why)
		}
	}
}

// awaitPeriod is the time between two questions: a tenth of what is waited for
// would be felt.
const awaitPeriod = 5 * time.Millisecond

func ok(req *http.Request) error {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, said)
	}
	return err
}
