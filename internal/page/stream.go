package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"

	"github.com/kind-in-a-box/devbox/internal/tail"
)

// serveStream sends all that the page shows, and then what is new, as
// server-sent events.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	now, news, leave := s.hub.join()
	defer leave()
	out := newStream(w)
	for _, m := range now {
		out.send(m)
	}
	if m, ok := encode("history", s.history(time.Now())); ok {
		out.send(m)
	}
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for {
		if out.flush() != nil {
			return
		}
		select {
		case m, ok := <-news:
			if !ok {
				return
			}
			out.send(m)
		case <-alive.C:
			out.send(message{"alive", []byte("{}")})
		case <-r.Context().Done():
			return
		}
	}
}

// aliveEvery is how often a page is told that its server is there, where there
// is nothing else to tell.
const aliveEvery = 5 * time.Second

// writeLimit is how long a page may take for what it is sent.
const writeLimit = 10 * time.Second

// stream writes server-sent events.
type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func newStream(w http.ResponseWriter) stream {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	return stream{w, http.NewResponseController(w)}
}

func (s stream) send(m message) {
	// Not every writer has a deadline; a page that has gone is seen by flush.
	_ = s.c.SetWriteDeadline(time.Now().Add(writeLimit))
	fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", m.name, m.data)
}

func (s stream) flush() error { return s.c.Flush() }

// logLine is a line of a pod's log.
type logLine struct {
	Revision  string `json:"revision"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Text      string `json:"text"`
}

// lastLines is how many lines of each container a page begins with.
const lastLines = int64(100)

// lineLimit is how much of a line is shown.
const lineLimit = 4 << 10

// serveLogs sends the log of a service's pods, of all its revisions, until the
// page has enough.
func (s *Server) serveLogs(w http.ResponseWriter, r *http.Request) {
	box := s.here()
	if box == nil {
		refuse(w, errAway)
		return
	}
	client, err := kubernetes.NewForConfig(box.REST)
	if err != nil {
		refuse(w, fmt.Errorf("connecting to the box: %w", err))
		return
	}
	selector := servingv1.ServiceLabel
	if name := r.FormValue("service"); name != "" {
		selector += "=" + name
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	lines := make(chan tail.Line, waiting)
	last := lastLines
	t := tail.Tailer{Client: client, Selector: selector, Follow: true, Last: &last, Tell: func(l tail.Line) {
		select {
		case lines <- l: // a page that is slow slows the reading, and nothing else
		case <-ctx.Done():
		}
	}}
	ended := make(chan error, 1)
	go func() { ended <- t.Run(ctx) }()
	out := newStream(w)
	_ = out.flush() // so that the page knows that it is connected
	for {
		select {
		case l := <-lines:
			out.line(logLine{l.Revision, l.Pod, l.Container, l.Text[:min(len(l.Text), lineLimit)]})
			if len(lines) == 0 && out.flush() != nil {
				cancel() // the page has gone, and the reading ends
			}
		case err := <-ended:
			if ctx.Err() == nil && err != nil {
				out.line(logLine{Text: "(" + err.Error() + ")"})
			}
			return
		}
	}
}

func (s stream) line(l logLine) {
	if m, ok := encode("line", l); ok {
		s.send(m)
	}
}

// answer writes what was asked for.
func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a page that has gone needs none
}
