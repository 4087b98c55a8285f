package standby

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// beat is how often a Desk says that it is there; one that has been silent
	// for deaf is asked anew.
	beat = 10 * time.Second
	deaf = 3 * beat
	// firstTry and lastTry bound the time between two tries to reach it.
	firstTry, lastTry = 20 * time.Millisecond, time.Second
	// reportTime is how long it may take to say what went wrong.
	reportTime = 5 * time.Second
	// maxLine bounds a line of a Desk: an order with its environment. In bytes.
	maxLine = 4 << 20
)

// client speaks to the Desk and to the registry. Neither is behind a proxy.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, ReadBufferSize: buffer}}

// Waiter waits in a container of a pod.
type Waiter struct {
	URL, Token     string // of the Desk, and for it
	Pod, Container string // who waits
	Place          *Place // for layers; nil where none come
}

// ErrDismissed is the end of a wait for which there is no more order: the Desk
// does not know the token, or not any more.
var ErrDismissed = errors.New("the controller does not know this pod")

// Wait returns the order, with its layers in place. It tries to reach the Desk
// until ctx ends. When the layers cannot be had it says so to the Desk, and
// returns why.
func (w *Waiter) Wait(ctx context.Context) (*Order, error) {
	for try := firstTry; ; try = min(2*try, lastTry) {
		order, err := w.ask(ctx)
		switch {
		case order != nil && err == nil:
			return order, nil
		case errors.Is(err, errWrong):
			return nil, w.Report(ctx, err)
		case errors.Is(err, ErrDismissed), ctx.Err() != nil:
			return nil, err
		}
		select {
		case <-time.After(try):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// errWrong is what an order comes to that cannot be followed.
var errWrong = errors.New("the order cannot be followed")

// ask is one connection to the Desk.
func (w *Waiter) ask(ctx context.Context) (*Order, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(deaf, func() { cancel(errors.New("the controller is silent")) })
	defer silence.Stop()
	res, err := w.send(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		silence.Reset(deaf)
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%w: %w", errWrong, err)
		}
		silence.Stop()
		if order, err := w.take(ctx, m); order != nil || err != nil {
			return order, err
		}
		silence.Reset(deaf)
	}
	return nil, errors.Join(context.Cause(ctx), lines.Err(), io.ErrUnexpectedEOF)
}

// take does what the Desk says.
func (w *Waiter) take(ctx context.Context, m message) (*Order, error) {
	layers := m.Prepare
	if m.Order != nil {
		if m.Order.Pod != w.Pod {
			return nil, fmt.Errorf("%w: it is for pod %s, and this is %s", errWrong, m.Order.Pod, w.Pod)
		}
		layers = m.Order.Layers
	}
	switch {
	case w.Place != nil:
		if err := w.Place.Bring(ctx, layers); err != nil {
			return nil, fmt.Errorf("%w: %w", errWrong, err)
		}
	case len(layers) > 0:
		return nil, fmt.Errorf("%w: %s takes no layers", errWrong, w.Container)
	}
	return m.Order, nil
}

// Report says to the Desk why an order was not followed, and returns that.
func (w *Waiter) Report(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	res, err := w.send(ctx, http.MethodPost, strings.NewReader(why.Error()))
	if err != nil {
		return errors.Join(why, fmt.Errorf("reporting it: %w", err))
	}
	return errors.Join(why, res.Body.Close())
}

func (w *Waiter) send(ctx context.Context, method string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.URL+"?container="+url.QueryEscape(w.Container), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+w.Token)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return res, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		err = ErrDismissed
	default:
		err = fmt.Errorf("%s %s: %s", method, w.URL, res.Status)
	}
	return nil, errors.Join(err, res.Body.Close())
}
