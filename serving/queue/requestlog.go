package queue

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// requestLog writes a line for every request that is over, as a template
// makes it.
type requestLog struct {
	template logTemplate
	probes   bool // write of those too
	revision logRevision

	mu  sync.Mutex
	out io.Writer
}

// newRequestLog returns the log that c asks for, nil where it asks for none. A
// template that is wrong costs the log, not the pod.
func newRequestLog(c Config, log *slog.Logger) *requestLog {
	if c.RequestLogTemplate == "" || c.RequestLog == nil {
		return nil
	}
	t, err := parseLogTemplate(c.RequestLogTemplate)
	if err != nil {
		log.Error("there is no request log: its template is wrong", "error", err)
		return nil
	}
	l := c.Labels
	return &requestLog{
		template: t, probes: c.LogProbes, out: c.RequestLog,
		revision: logRevision{l.Revision, l.Namespace, l.Service, l.Configuration, l.Pod, c.PodIP},
	}
}

// handler writes of the requests that pass to next.
func (l *requestLog) handler(next http.Handler) http.Handler {
	if l == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header[proxy.NetworkProbe] != nil && !l.probes {
			next.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		answer := &answered{ResponseWriter: w}
		defer func() { l.write(r, answer, time.Since(began)) }()
		next.ServeHTTP(answer, r)
	})
}

func (l *requestLog) write(r *http.Request, answer *answered, took time.Duration) {
	line := l.template.line(&logEntry{
		Request:  r,
		Response: logResponse{Code: answer.code, Size: answer.size, Latency: took.Seconds()},
		Revision: l.revision,
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.out, line) // a log that nobody takes is no reason to do anything else
}

// answered remembers what was answered.
type answered struct {
	http.ResponseWriter
	code int
	size int
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(code int) {
	if a.code == 0 && code >= http.StatusOK {
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (a *answered) Write(b []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.size += n
	return n, err
}

// Hijack hands over the connection of an upgraded request.
func (a *answered) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.code = http.StatusSwitchingProtocols
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
