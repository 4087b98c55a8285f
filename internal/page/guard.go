package page

import (
	"crypto/subtle"
	"embed"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// TokenHeader carries the token. No other page can send it here: the browser
// would ask us first, and we do not answer.
const TokenHeader = "Devbox-Token"

// bodyLimit is how much a request may say.
const bodyLimit = 64 << 10

// policy lets the page use its own files and nothing else: no script or style
// in its text, nothing of another origin, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

//go:embed static
var static embed.FS

// Names are the hosts under which the page may be asked for. A name of
// somebody else's that leads here is not one of them.
func Names(port int) []string {
	p := ":" + strconv.Itoa(port)
	return []string{"devbox.localhost" + p, "localhost" + p, "127.0.0.1" + p}
}

func (s *Server) handler(port int) http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is in the program
	}
	api := http.NewServeMux()
	api.HandleFunc("GET /api/stream", s.serveStream)
	api.HandleFunc("GET /api/logs", s.serveLogs)
	api.HandleFunc("GET /api/dashboards", s.serveDashboards)
	api.HandleFunc("GET /api/dashboards/{uid}", s.servePanels)
	api.HandleFunc("GET /api/comparison", s.serveComparison)
	api.HandleFunc("PUT /api/services/{namespace}/{name}/traffic", s.serveTraffic)
	api.HandleFunc("POST /api/services/{namespace}/{name}/requests", s.serveRequest)

	mux := http.NewServeMux()
	mux.Handle("/api/", s.withToken(api))
	mux.Handle("/", readOnly(http.FileServerFS(files)))
	return guarded(Names(port), mux)
}

// guarded sets the headers of every answer, and refuses requests that another
// page may have made: by a host that is not ours, or from an origin that is not.
func guarded(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case !slices.Contains(names, strings.ToLower(r.Host)):
			http.Error(w, "this page has another name: "+names[0], http.StatusMisdirectedRequest)
		case origin != "" && origin != "http://"+strings.ToLower(r.Host):
			http.Error(w, "another page may not ask here", http.StatusForbidden)
		case site != "" && site != "same-origin" && site != "none":
			http.Error(w, "another page may not ask here", http.StatusForbidden)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) withToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(s.cfg.Token)) != 1 {
			http.Error(w, "open the page by the address that `devbox ui` has printed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readOnly refuses what a file cannot be asked.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page's files can be read, and no more", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
