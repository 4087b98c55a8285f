package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstBackOff = 50 * time.Millisecond
	lastBackOff  = time.Second

	// maxPending bounds what waits to be written. It counts revisions and
	// pods, not messages: a newer message about one replaces the older.
	maxPending = 8192
)

// Client is the activator's end of the stream. Send never blocks; Run carries
// what was sent to the controller.
type Client struct {
	// Token, where there is one, returns what the controller's Guards ask for.
	// It is called for every connection, and set before Run.
	Token func() (string, error)

	url      string
	name     string
	snapshot func() []Message
	log      *slog.Logger
	http     *http.Client

	connected atomic.Bool
	wake      chan struct{} // holds one token while something is pending

	mu       sync.Mutex
	pending  map[subject]Message
	order    []subject
	overflow bool // pending was full: everything is to be said again
}

// subject is what a Message is about; of two messages about one subject only
// the newer matters.
type subject struct{ kind, namespace, name string }

func (m Message) subject() subject {
	switch {
	case m.Stats != nil:
		return subject{"stats", m.Stats.Namespace, m.Stats.Revision}
	case m.Held != nil:
		return subject{"held", m.Held.Namespace, m.Held.Revision}
	case m.Pod != nil:
		return subject{"pod", m.Pod.Namespace, m.Pod.Name + "/" + m.Pod.UID}
	case m.Takes != nil:
		return subject{kind: "takes"}
	}
	return subject{}
}

// NewClient returns a Client that posts to url, which may also be unix: and
// the path of a socket. It calls snapshot at the
// start of every connection and sends what it returns first: all pods that
// answer and all requests held at that moment. The owner of that knowledge
// changes it before it calls Send, so that no snapshot is older than a
// message.
func NewClient(url string, snapshot func() []Message, log *slog.Logger) *Client {
	transport := &http.Transport{DisableCompression: true}
	if socket, ok := strings.CutPrefix(url, "unix:"); ok {
		url = "http://controller/stream"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
	}
	return &Client{
		url:      url,
		name:     rand.Text(),
		snapshot: snapshot,
		log:      log,
		// A transport of its own: one connection, closed by Run.
		http:    &http.Client{Transport: transport},
		wake:    make(chan struct{}, 1),
		pending: make(map[subject]Message),
	}
}

// Send queues m and returns at once. Where an older message about the same
// thing still waits, m takes its place. Without a connection only Pod
// and Takes messages wait: old numbers are of no use, and the snapshot has the new.
func (c *Client) Send(m Message) {
	key := m.subject()
	if key == (subject{}) || m.Pod == nil && m.Takes == nil && !c.connected.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.pending[key]; !waits {
		if len(c.pending) >= maxPending {
			c.overflow = true
			return
		}
		c.order = append(c.order, key)
	}
	c.pending[key] = m
	c.signal()
}

func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Connected says whether the controller listens at this moment.
func (c *Client) Connected() bool { return c.connected.Load() }

// Run keeps a connection to the controller until ctx ends, and dials again
// after 50 ms, then twice as long each time up to 1 s, when it is lost.
func (c *Client) Run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	wait := firstBackOff
	for ctx.Err() == nil {
		heard, err := c.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			wait = firstBackOff
		}
		c.log.Info("stream to the controller is down", "error", err, "again in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastBackOff)
	}
}

// stream is one connection from dial to loss; heard says that the controller
// took it.
func (c *Client) stream(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The dial and every later silence of the controller are bounded alike.
	silence := time.AfterFunc(deadAfter, func() { cancel(errSilent) })
	defer silence.Stop()

	body, w := io.Pipe()
	defer func() { _ = w.Close() }() // never fails
	// The transport does not return while it still waits for more of the body.
	defer context.AfterFunc(ctx, func() { _ = w.CloseWithError(context.Cause(ctx)) })()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, body)
	if err != nil {
		return false, fmt.Errorf("making the stream's request: %w", err)
	}
	req.Header.Set(sourceHeader, c.name)
	if c.Token != nil {
		token, err := c.Token()
		if err != nil {
			return false, fmt.Errorf("reading the stream's token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, fmt.Errorf("dialling the controller: %w", orCause(ctx, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // as far as it can be read
		return false, fmt.Errorf("dialling the controller: %s: %s", resp.Status, bytes.TrimSpace(why))
	}

	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel(nil) // ends the reader before it is waited for
	reader.Go(func() { cancel(listen(resp.Body, silence)) })

	c.connected.Store(true)
	defer c.connected.Store(false)
	return true, orCause(ctx, c.write(ctx, w))
}

// write says everything that is known, then what is sent, and an empty line
// when there was nothing to say for a while.
func (c *Client) write(ctx context.Context, w io.Writer) error {
	c.dropStale()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	everything := true
	for {
		lines, err := encode(c.take(everything))
		if err != nil {
			return err
		}
		if _, err := w.Write(lines); err != nil {
			return fmt.Errorf("writing to the controller: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wake:
		case <-beat.C:
		}
		everything = c.overflowed()
	}
}

// dropStale forgets the numbers that waited for a connection. A pod's state
// is kept, for the snapshot does not name a pod that has ceased to answer.
func (c *Client) dropStale() {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.order[:0]
	for _, key := range c.order {
		if c.pending[key].Pod != nil {
			kept = append(kept, key)
		} else {
			delete(c.pending, key)
		}
	}
	c.order = kept
}

// take returns what waits, oldest first. With everything, the snapshot
// follows: it is newer than whatever waited when it was called.
func (c *Client) take(everything bool) []Message {
	c.mu.Lock()
	messages := make([]Message, 0, len(c.order))
	for _, key := range c.order {
		messages = append(messages, c.pending[key])
	}
	clear(c.pending)
	c.order = c.order[:0]
	c.mu.Unlock()
	if everything {
		messages = append(messages, c.snapshot()...)
	}
	return messages
}

func (c *Client) overflowed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.overflow
	c.overflow = false
	return was
}

// encode returns messages one a line, and one empty line when there are none.
func encode(messages []Message) ([]byte, error) {
	if len(messages) == 0 {
		return []byte{'\n'}, nil
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, m := range messages {
		if err := enc.Encode(m); err != nil {
			return nil, fmt.Errorf("encoding a message: %w", err)
		}
	}
	return lines.Bytes(), nil
}

// listen reads the controller's beats until it says why it ends the stream,
// or the connection is lost.
func listen(body io.Reader, silence *time.Timer) error {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		silence.Reset(deadAfter)
		if reason := strings.TrimSpace(lines.Text()); reason != "" {
			return fmt.Errorf("the controller ended the stream: %s", reason)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the controller's beat: %w", err)
	}
	return io.EOF
}

// orCause prefers why ctx ended to the error that its end caused.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
