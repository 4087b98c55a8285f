package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ear is a Receiver that writes down what it hears, one word a message.
type ear struct {
	mu    sync.Mutex
	words []string
	heard chan struct{} // holds one token when words grew
}

func newEar() *ear { return &ear{heard: make(chan struct{}, 1)} }

func (e *ear) Receive(_ string, m Message) {
	switch {
	case m.Stats != nil:
		e.say(fmt.Sprintf("stats/%s=%v", m.Stats.Revision, m.Stats.Concurrency))
	case m.Held != nil:
		e.say(fmt.Sprintf("held/%s=%d", m.Held.Revision, m.Held.Requests))
	case m.Pod != nil:
		e.say(fmt.Sprintf("pod/%s=%v", m.Pod.Name, m.Pod.Answers))
	case m.Takes != nil:
		e.say(fmt.Sprintf("takes/clear=%v/tls=%v", m.Takes.Clear, m.Takes.TLS))
	case m == Message{}:
		e.say("here")
	}
}

func (e *ear) Gone(string) { e.say("gone") }

func (e *ear) say(word string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.words = append(e.words, word)
	select {
	case e.heard <- struct{}{}:
	default:
	}
}

// wait returns when exactly want has been heard, in order, and forgets it.
func (e *ear) wait(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		got := strings.Join(e.words, " ")
		if got == want {
			e.words = nil
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		if !strings.HasPrefix(want, got) {
			t.Fatalf("heard %q, want %q", got, want)
		}
		select {
		case <-e.heard:
		case <-timeout:
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

// until returns when last is the last word heard.
func (e *ear) until(t *testing.T, last string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		e.mu.Lock()
		words := e.words
		e.mu.Unlock()
		if len(words) > 0 && words[len(words)-1] == last {
			return
		}
		select {
		case <-e.heard:
		case <-timeout:
			t.Fatalf("heard %q, want it to end in %q", words, last)
		}
	}
}

func stats(revision string, concurrency float64) Message {
	return Message{Stats: &Stats{Namespace: "default", Revision: revision, Concurrency: concurrency}}
}

func held(revision string, requests int) Message {
	return Message{Held: &Held{Namespace: "default", Revision: revision, Requests: requests}}
}

func pod(name string, answers bool) Message {
	return Message{Pod: &Pod{Namespace: "default", Name: name, UID: "1", Answers: answers}}
}

func snapshotOf(messages ...Message) func() []Message {
	return func() []Message { return messages }
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs c until the test ends or the returned function is called.
func run(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func TestSnapshotThenMessages(t *testing.T) {
	ear := newEar()
	server := httptest.NewServer(Handler(Receivers{ear}))
	t.Cleanup(server.Close) // after the clients have stopped
	c := NewClient(server.URL, snapshotOf(pod("a", true), held("x", 2)), quiet())
	stop := run(t, c)
	ear.wait(t, "here pod/a=true held/x=2")
	if !c.Connected() {
		t.Error("not connected after the snapshot was heard")
	}
	c.Send(stats("x", 1.5))
	ear.wait(t, "stats/x=1.5")
	c.Send(pod("a", false))
	ear.wait(t, "pod/a=false")
	c.Send(Message{Takes: &Takes{TLS: true}})
	ear.wait(t, "takes/clear=false/tls=true")
	stop()
	ear.wait(t, "gone")
}

func TestConnectionLost(t *testing.T) {
	ear := newEar()
	server := httptest.NewUnstartedServer(Handler(ear))
	ctx, end := context.WithCancel(context.Background())
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	c := NewClient(server.URL, snapshotOf(pod("a", true)), quiet())
	run(t, c)
	ear.wait(t, "here pod/a=true")

	end() // the controller goes away
	ear.wait(t, "gone")
	address := server.Listener.Addr().String()
	server.Close()
	c.http.Transport.(*http.Transport).CloseIdleConnections()

	// What is sent now waits, or is dropped where the next snapshot has it.
	for c.Connected() {
		c.Send(Message{})
	}
	c.Send(stats("x", 9))
	c.Send(held("x", 9))
	c.Send(pod("b", true))
	c.Send(pod("b", false))

	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewUnstartedServer(Handler(ear))
	_ = back.Listener.Close()
	back.Listener = listener
	back.Start()
	t.Cleanup(back.Close)
	t.Cleanup(back.CloseClientConnections)
	ear.wait(t, "here pod/b=false pod/a=true")
}

func TestSendIsBoundedAndNewestWins(t *testing.T) {
	c := NewClient("http://127.0.0.1:0", snapshotOf(pod("all", true)), quiet())
	for i := range maxPending + 10 {
		c.Send(pod(fmt.Sprint(i), true))
	}
	c.Send(pod("0", false))
	got := c.take(false)
	if len(got) != maxPending {
		t.Errorf("%d messages wait, want the bound %d", len(got), maxPending)
	}
	if got[0].Pod.Answers {
		t.Error("an older message about pod 0 won")
	}
	if !c.overflowed() || c.overflowed() {
		t.Error("want one overflow to be told once")
	}
	if all := c.take(true); len(all) != 1 || all[0].Pod.Name != "all" {
		t.Errorf("after an overflow %v is said, want the snapshot", all)
	}
}

func TestManySenders(t *testing.T) {
	ear := newEar()
	server := httptest.NewServer(Handler(ear))
	t.Cleanup(server.Close) // after the clients have stopped
	c := NewClient(server.URL, snapshotOf(), quiet())
	run(t, c)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for i := range 200 {
				c.Send(pod("a", i%2 == 0))
			}
		})
	}
	senders.Wait()
	c.Send(pod("last", true))
	ear.until(t, "pod/last=true")
}

func TestRefused(t *testing.T) {
	server := httptest.NewServer(Handler(newEar()))
	t.Cleanup(server.Close) // after the clients have stopped
	post := func(t *testing.T, source, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if source != "" {
			req.Header.Set(sourceHeader, source)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(text))
	}
	tests := map[string]struct {
		source, body string
		code         int
		says         string
	}{
		"nobody":        {"", "{}\n", 400, "want a POST with the header Devbox-Activator"},
		"no JSON":       {"a", "nonsense\n", 200, "decoding a line: invalid character"},
		"endless line":  {"a", strings.Repeat("x", maxLine+1), 200, "token too long"},
		"nothing known": {"a", "{\"later\":{}}\n\n", 200, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			code, says := post(t, tt.source, tt.body)
			if code != tt.code || !strings.Contains(says, tt.says) || tt.says == "" && says != "" {
				t.Errorf("got %d %q, want %d %q", code, says, tt.code, tt.says)
			}
		})
	}
}

// TestTakeover dials twice under one name, as an activator does whose first
// connection hangs. The first ends unannounced.
func TestTakeover(t *testing.T) {
	ear := newEar()
	server := httptest.NewServer(Handler(ear))
	t.Cleanup(server.Close) // after the clients have stopped
	first := NewClient(server.URL, snapshotOf(pod("a", true)), quiet())
	first.name = "one"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { _, _ = first.stream(ctx) })
	ear.wait(t, "here pod/a=true")

	second := NewClient(server.URL, snapshotOf(pod("b", true)), quiet())
	second.name = "one"
	stop := run(t, second)
	ear.wait(t, "here pod/b=true")
	running.Wait() // it was ended by the takeover, not by this test
	stop()
	ear.wait(t, "gone")
}

func TestServeEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ear := newEar()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, listener, ear) }()
	run(t, NewClient("http://"+listener.Addr().String()+Path, snapshotOf(held("x", 1)), quiet()))
	ear.wait(t, "here held/x=1")
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	ear.wait(t, "gone")
}

func TestServeWithoutListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := Serve(t.Context(), listener, newEar()); err == nil {
		t.Error("Serve on a closed listener returned no error")
	}
}

// TestBackOff and the tests below run in synctest's time, so they see the
// exact moments.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("http://controller/stream", snapshotOf(), quiet())
		start := time.Now()
		var dials bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		c.http.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			fmt.Fprint(&dials, time.Since(start), " ")
			if time.Since(start) > 3*time.Second {
				cancel()
			}
			return nil, net.ErrClosed
		}}
		c.Run(ctx)
		if got, want := dials.String(), "0s 50ms 150ms 350ms 750ms 1.55s 2.55s 3.55s "; got != want {
			t.Errorf("dialled at %s, want %s", got, want)
		}
	})
}

func TestSilentController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClient("http://controller/stream", snapshotOf(), quiet())
		c.http.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, far) }() // takes all, says nothing
			return near, nil
		}}
		start := time.Now()
		_, err := c.stream(t.Context())
		if err == nil || !strings.Contains(err.Error(), errSilent.Error()) || time.Since(start) != deadAfter {
			t.Errorf("after %v: %v, want %v after %v", time.Since(start), err, errSilent, deadAfter)
		}
		c.http.CloseIdleConnections()
	})
}

func TestSilentActivator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{conns: make(chan net.Conn)}
		ear := newEar()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- Serve(ctx, listener, ear) }()
		conn := listener.dial()
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		start := time.Now()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: c\r\n%s: a\r\nTransfer-Encoding: chunked\r\n\r\n", Path, sourceHeader)
		line := `{"held":{"revision":"x","requests":1}}` + "\n"
		fmt.Fprintf(conn, "%x\r\n%s\r\n", len(line), line)
		ear.wait(t, "here held/x=1")
		ear.wait(t, "gone")
		if took := time.Since(start); took != deadAfter {
			t.Errorf("gone after %v, want %v", took, deadAfter)
		}
		conn.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

func (p *pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.conns) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// TestGuards let nobody in who has no token, nor whom they do not know.
func TestGuards(t *testing.T) {
	guard := func(_ context.Context, token string) (string, error) {
		switch token {
		case "the activator's":
			return "", nil
		case "another's":
			return "this is another's", nil
		}
		return "", errors.New("the API server is away")
	}
	for _, test := range []struct{ header, want string }{
		{"", "401 want a token"},
		{"Basic the activator's", "401 want a token"},
		{"Bearer another's", "403 this is another's"},
		{"Bearer nobody's", "503 the API server is away"},
		{"Bearer the activator's", "400 want a POST with the header Devbox-Activator"}, // and is in
	} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, Path, nil)
		r.Header.Set("Authorization", test.header)
		Handler(Receivers{}, guard).ServeHTTP(answer, r)
		if got := fmt.Sprintf("%d %s", answer.Code, strings.TrimSpace(answer.Body.String())); got != test.want {
			t.Errorf("%q: got %q, want %q", test.header, got, test.want)
		}
	}
}
