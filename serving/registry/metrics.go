package registry

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// methods are those of OCI's distribution specification. All others are
// counted together: a client may make up as many as it likes.
var methods = [...]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, "other"}

// classes are the response code classes, 1xx to 5xx.
const classes = 5

// requests counts requests by method and class of the response code.
type requests [len(methods)][classes]atomic.Uint64

// counted counts what next answers.
func (n *requests) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := slices.Index(methods[:], r.Method)
		if method < 0 {
			method = len(methods) - 1
		}
		response := &response{ResponseWriter: w, status: http.StatusOK}
		defer func() { n[method][min(max(response.status/100, 1), classes)-1].Add(1) }()
		next.ServeHTTP(response, r)
	})
}

// response is a ResponseWriter that remembers its status.
type response struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom implements io.ReaderFrom, so that a file goes out as one.
func (w *response) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// write writes the numbers of the requests and of the blobs.
func (n *requests) write(w io.Writer, b *blobs) {
	count, bytes := b.stored()
	proxy.Describe(w, "devbox_registry_blobs", "gauge", "Layers and configurations that are stored.")
	fmt.Fprintf(w, "devbox_registry_blobs %d\n", count)
	proxy.Describe(w, "devbox_registry_blob_bytes", "gauge", "What they take on disk.")
	fmt.Fprintf(w, "devbox_registry_blob_bytes %d\n", bytes)
	proxy.Describe(w, "devbox_registry_requests_total", "counter", "Requests, by method and class of the response code.")
	for m := range n {
		for class := range n[m] {
			if v := n[m][class].Load(); v > 0 {
				fmt.Fprintf(w, "devbox_registry_requests_total{method=%q,response_code_class=\"%dxx\"} %d\n", methods[m], class+1, v)
			}
		}
	}
}

// stored is how many blobs there are, and their bytes.
func (b *blobs) stored() (count int, bytes int64) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it has just gone
			count++
			bytes += info.Size()
		}
	}
	return count, bytes
}
