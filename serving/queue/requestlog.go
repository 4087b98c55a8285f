package queue

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// requestLog writes a line for every request that is over, as a template
// makes it.
type requestLog struct {
	template *template.Template
	probes   bool // write of those too
	revision logRevision
	log      *slog.Logger

	mu  sync.Mutex
	out io.Writer
}

// logEntry is what the template sees: Knative's fields, by Knative's names.
type logEntry struct {
	Request  *http.Request
	Response logResponse
	Revision logRevision
	TraceID  string
}

type logResponse struct {
	Code    int
	Size    int     // of the body
	Latency float64 // in seconds
}

type logRevision struct{ Name, Namespace, Service, Configuration, PodName, PodIP string }

// newRequestLog returns the log that c asks for, nil where it asks for none. A
// template that is wrong costs the log, not the pod.
func newRequestLog(c Config, log *slog.Logger) *requestLog {
	if c.RequestLogTemplate == "" || c.RequestLog == nil {
		return nil
	}
	t, err := template.New("request log").Parse(c.RequestLogTemplate)
	if err != nil {
		log.Error("there is no request log: its template is wrong", "error", err)
		return nil
	}
	l := c.Labels
	return &requestLog{
		template: t, probes: c.LogProbes, log: log, out: c.RequestLog,
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
	entry := logEntry{
		Request:  r,
		Response: logResponse{Code: answer.code, Size: answer.size, Latency: took.Seconds()},
		Revision: l.revision,
		TraceID:  traceID(r),
	}
	var line bytes.Buffer
	if err := l.template.Execute(&line, entry); err != nil {
		l.log.Warn("a request cannot be logged", "error", err)
		return
	}
	line.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(line.Bytes()) // a log that nobody takes is no reason to do anything else
}

// traceID is the second field of a W3C traceparent.
func traceID(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Traceparent"), "-")
	id, _, _ := strings.Cut(rest, "-")
	return id
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
