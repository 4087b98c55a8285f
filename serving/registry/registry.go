// Package registry is the box's container registry: what the watcher pushes
// to and the node pulls from.
//
// go-containerregistry's registry speaks the protocol and answers what is
// read. That one keeps manifests and uploads in memory, which is right for a
// test and wrong for a box, so what is written goes to disk here first.
//
//	PUT, DELETE manifest --> records ----------\
//	GET, HEAD, tags -------> go-containerregistry's manifests
//	GET, HEAD blob --------> go-containerregistry's handler --> blobs (files)
//	POST, PATCH, PUT blob -> uploads (files) ----------------/
//	GET /pushes -----------> pushes, told by records of each image that is whole
//
// Under the root lie
//
//	blobs/sha256/<hex>                layers and configurations, by content
//	manifests/<repository>/<hex>      each with its media type
//	tags/<repository>/<tag>           the digest a tag stands for
//	uploads/                          blobs on their way in
//
// Growth is bounded: of each repository the newest images stay (Config.Keep),
// and a blob goes when no manifest needs it. A node that has pulled an image
// keeps it without us, so what goes is out of reach only for a node that also
// dropped it.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// DefaultKeep is how many images of a repository stay: more than the
// revisions anybody goes back to, and about 300 MB of a small service.
const DefaultKeep = 32

// leave is how long requests in flight may take to end on the way out.
const leave = 5 * time.Second

// Config says where the registry answers and keeps its files.
type Config struct {
	Address       string // of the registry
	HealthAddress string // of /healthz, /readyz and /metrics; "" for none
	Root          string // the folder; made if it is not there
	Keep          int    // images to keep of each repository; 0 means DefaultKeep
	Log           *slog.Logger

	// Pushed, where there is one, is told of each image that has arrived, as
	// PushesPath tells it, so that a node can have it before a pod asks. It must
	// not block.
	Pushed func(image string)

	// Metrics, where there is one, is given the registry's numbers: it serves
	// them for several parts of one process.
	Metrics *proxy.Exposition
}

// Run serves until ctx ends, then lets requests in flight finish.
func Run(ctx context.Context, cfg Config) error {
	handler, err := open(cfg.Root, cmp.Or(cfg.Keep, DefaultKeep), cfg.Log)
	if err != nil {
		return err
	}
	handler.records.pushed = func(image string) {
		handler.pushes.tell(image)
		if cfg.Pushed != nil {
			cfg.Pushed(image)
		}
	}
	metrics := cmp.Or(cfg.Metrics, &proxy.Exposition{})
	metrics.Add(handler.writeMetrics)
	if cfg.Metrics == nil {
		metrics.Add(proxy.WriteProcess)
	}
	health := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	health.HandleFunc("GET /healthz", ok)
	health.HandleFunc("GET /readyz", ok)
	health.Handle("GET /metrics", metrics)

	var servers []proxy.Server
	for _, s := range []struct {
		address string
		handler http.Handler
	}{{cfg.Address, handler.requests.counted(handler)}, {cfg.HealthAddress, health}} {
		if s.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
		if err != nil {
			return fmt.Errorf("listening for the registry: %w", err)
		}
		defer listener.Close() // Serve has closed it, unless the other could not be opened
		servers = append(servers, proxy.Server{Listener: listener, Handler: s.handler, Limit: leave, Log: cfg.Log})
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		group.Go(func() error { return s.Serve(ctx) })
	}
	context.AfterFunc(ctx, handler.pushes.close)
	return group.Wait()
}

// New is the registry over the files under root, and nothing running.
func New(root string, log *slog.Logger) (http.Handler, error) {
	return open(root, DefaultKeep, log)
}

func open(root string, keep int, log *slog.Logger) (*handler, error) {
	blobs, err := newBlobs(root)
	if err != nil {
		return nil, fmt.Errorf("opening the registry's blobs: %w", err)
	}
	reader := ggcr.New(
		ggcr.WithBlobHandler(blobs),
		ggcr.WithReferrersSupport(true),
		ggcr.Logger(slog.NewLogLogger(log.Handler(), slog.LevelDebug)),
	)
	records, err := newRecords(root, keep, blobs, reader, log)
	if err != nil {
		return nil, fmt.Errorf("opening the registry's manifests: %w", err)
	}
	h := &handler{reader: reader, records: records, uploads: newUploads(blobs), blobs: blobs}
	records.pushed = h.pushes.tell
	return h, nil
}

// handler sends what writes to the files, and the rest to the reader.
type handler struct {
	reader  http.Handler
	records *records
	uploads *uploads
	pushes  pushes

	blobs    *blobs
	requests requests
}

func (h *handler) writeMetrics(w io.Writer) { h.requests.write(w, h.blobs) }

// The names of OCI's distribution specification.
const (
	repositoryName = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*`
	tagName        = `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
	digestName     = `sha256:[a-f0-9]{64}`
)

var (
	uploadPath   = regexp.MustCompile(`^/v2/(` + repositoryName + `)/blobs/uploads/([a-z0-9-]*)$`)
	manifestPath = regexp.MustCompile(`^/v2/(` + repositoryName + `)/manifests/(` + tagName + `|` + digestName + `)$`)
)

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == PushesPath:
		h.pushes.ServeHTTP(w, r)
		return
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		h.reader.ServeHTTP(w, r)
		return
	}
	if m := uploadPath.FindStringSubmatch(r.URL.Path); m != nil {
		h.uploads.serve(w, r, m[1], m[2])
		return
	}
	if m := manifestPath.FindStringSubmatch(r.URL.Path); m != nil {
		switch r.Method {
		case http.MethodPut:
			h.records.put(w, r, m[1], m[2])
			return
		case http.MethodDelete:
			h.records.delete(w, r, m[1], m[2])
			return
		}
	}
	refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the registry has no such operation")
}
