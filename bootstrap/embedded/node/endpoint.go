package node

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// endpoint is where the API server asks the node for logs and for ways to
// ports of pods.
type endpoint struct {
	port     int
	listener net.Listener
	server   *http.Server
}

// listen opens the node's endpoint on loopback.
func (n *node) listen() (*endpoint, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort(hostIP, strconv.Itoa(n.port)))
	if err != nil {
		return nil, fmt.Errorf("listening for the node: %w", err)
	}
	address, _ := listener.Addr().(*net.TCPAddr)
	return &endpoint{
		port:     address.Port,
		listener: tls.NewListener(listener, n.tls),
		server: &http.Server{
			Handler:           n.handler(),
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// serve returns when close was called.
func (e *endpoint) serve() { _ = e.server.Serve(e.listener) }

// close ends the endpoint and all that is asked of it.
func (e *endpoint) close() { _ = e.server.Close() }

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("GET /pods", n.servePods)
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.serveLog)
	mux.HandleFunc("/portForward/{namespace}/{pod}", n.servePortForward)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", n.serveExec)
	for path, what := range map[string]string{"/attach/": "attach", "/run/": "run"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, what+" is not there in the embedded engine, whose pods are processes of this machine; "+
				"kubectl logs, exec and port-forward are, and the kind engine has "+what,
				http.StatusNotImplemented)
		})
	}
	return mux
}

// servePods lists the node's pods, for a look.
func (n *node) servePods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	n.mu.Lock()
	for _, p := range n.pods {
		_, status, _ := p.statuses()
		pod := p.object.DeepCopy()
		pod.Status = status
		list.Items = append(list.Items, *pod)
	}
	n.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // the client is gone
}

// serveLog answers kubectl logs.
func (n *node) serveLog(w http.ResponseWriter, r *http.Request) {
	options, err := logOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod := n.find(r.PathValue("namespace"), r.PathValue("pod"))
	if pod == nil {
		http.Error(w, fmt.Sprintf("pod %q is not on this node", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	path, live, err := pod.log(r.PathValue("container"), options.Previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	out := flusher{w, http.NewResponseController(w)}
	// An empty log that is followed is an answer too.
	_ = out.control.Flush()
	if err := newReading(options, time.Now(), out).read(r.Context(), path, live); err != nil {
		n.log.Debug("reading a log", "pod", pod.name(), "error", err)
	}
}

// flusher sends every line at once.
type flusher struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.control.Flush()
}

// logOptions reads what of a log a request asks for.
func logOptions(r *http.Request) (*corev1.PodLogOptions, error) {
	query := r.URL.Query()
	o := &corev1.PodLogOptions{
		Follow:     query.Get("follow") == "true",
		Previous:   query.Get("previous") == "true",
		Timestamps: query.Get("timestamps") == "true",
	}
	for name, number := range map[string]**int64{
		"sinceSeconds": &o.SinceSeconds, "tailLines": &o.TailLines, "limitBytes": &o.LimitBytes,
	} {
		if !query.Has(name) {
			continue
		}
		n, err := strconv.ParseInt(query.Get(name), 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is not a number of at least 0: %q", name, query.Get(name))
		}
		*number = &n
	}
	if since := query.Get("sinceTime"); since != "" {
		t, err := time.Parse(time.RFC3339, since)
		if err != nil {
			return nil, fmt.Errorf("sinceTime is not a time: %w", err)
		}
		o.SinceTime = &metav1.Time{Time: t}
	}
	if stream := query.Get("stream"); stream != "" {
		o.Stream = &stream
	}
	return o, nil
}
