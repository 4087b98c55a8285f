package page

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const token = "a-token"

// away is a page whose box is not there.
func away() *Server {
	return New(Config{Find: func() (Box, error) { return Box{}, errors.New("there is no box") }, Token: token})
}

func ask(s *Server, method, path string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8090"+path, strings.NewReader("{}"))
	for name, value := range header {
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.handler(8090).ServeHTTP(w, r)
	return w
}

func TestWhoMayAsk(t *testing.T) {
	s := away()
	const dashboards = "/api/dashboards"
	for title, test := range map[string]struct {
		method, path string
		header       map[string]string
		want         int
	}{
		"the page":                {"GET", "/", nil, 200},
		"by its name":             {"GET", "/", map[string]string{"Host": "devbox.localhost:8090"}, 200},
		"in capitals":             {"GET", "/", map[string]string{"Host": "LOCALHOST:8090"}, 200},
		"by somebody else's name": {"GET", "/", map[string]string{"Host": "evil.example:8090"}, 421},
		"by a name of a service":  {"GET", "/", map[string]string{"Host": "hello.default.localhost:8090"}, 421},
		"by another port":         {"GET", "/", map[string]string{"Host": "127.0.0.1:8080"}, 421},
		"by no port":              {"GET", "/", map[string]string{"Host": "localhost"}, 421},
		"posted":                  {"POST", "/", nil, 405},
		"deleted":                 {"DELETE", "/page.css", nil, 405},
		"out of the folder":       {"GET", "/..%2fguard.go", nil, 404},

		"the token":             {"GET", dashboards, map[string]string{TokenHeader: token}, 200},
		"none":                  {"GET", dashboards, nil, 401},
		"an empty one":          {"GET", dashboards, map[string]string{TokenHeader: ""}, 401},
		"another":               {"GET", dashboards, map[string]string{TokenHeader: token + "x"}, 401},
		"in the address":        {"GET", dashboards + "?token=" + token, nil, 401},
		"in a cookie":           {"GET", dashboards, map[string]string{"Cookie": TokenHeader + "=" + token}, 401},
		"reading without":       {"GET", "/api/stream", nil, 401},
		"changing without":      {"PUT", "/api/services/default/hello/traffic", nil, 401},
		"its own origin":        {"GET", dashboards, map[string]string{TokenHeader: token, "Origin": "http://127.0.0.1:8090"}, 200},
		"another origin":        {"GET", dashboards, map[string]string{TokenHeader: token, "Origin": "http://evil.example"}, 403},
		"an origin of a port":   {"GET", dashboards, map[string]string{TokenHeader: token, "Origin": "http://127.0.0.1:8080"}, 403},
		"an origin that hides":  {"GET", dashboards, map[string]string{TokenHeader: token, "Origin": "null"}, 403},
		"another of its names":  {"GET", dashboards, map[string]string{TokenHeader: token, "Origin": "http://localhost:8090"}, 403},
		"from another site":     {"GET", dashboards, map[string]string{TokenHeader: token, "Sec-Fetch-Site": "cross-site"}, 403},
		"from a service's page": {"GET", "/", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"typed by a person":     {"GET", "/", map[string]string{"Sec-Fetch-Site": "none"}, 200},

		"no such thing":     {"GET", "/api/secrets", map[string]string{TokenHeader: token}, 404},
		"no such dashboard": {"GET", dashboards + "/none", map[string]string{TokenHeader: token}, 404},
		"a wrong method":    {"POST", dashboards, map[string]string{TokenHeader: token}, 405},
		"while box is away": {"PUT", "/api/services/default/hello/traffic", map[string]string{TokenHeader: token}, 503},
		"and no log of it":  {"GET", "/api/logs", map[string]string{TokenHeader: token}, 503},
		"a preflight of CORS": {"OPTIONS", "/api/services/default/hello/traffic",
			map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Headers": TokenHeader}, 403},
	} {
		t.Run(title, func(t *testing.T) {
			w := ask(s, test.method, test.path, test.header)
			if w.Code != test.want {
				t.Errorf("answers %d %s, want %d", w.Code, w.Body, test.want)
			}
			h := w.Header()
			if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || w.Code < 400 && h.Get("Cache-Control") != "no-store" {
				t.Errorf("headers are %v", h)
			}
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("answers %s: %s", name, h.Get(name))
				}
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	for _, part := range []string{"unsafe", "*", "http", "data:"} {
		if strings.Contains(policy, part) {
			t.Errorf("the policy has %s", part)
		}
	}
}

// TestFilesNeedNothingElse looks for what the policy would forbid, or what would
// make text into markup.
func TestFilesNeedNothingElse(t *testing.T) {
	entries, err := static.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := static.ReadFile("static/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		content := strings.ReplaceAll(string(data), "http://www.w3.org/2000/svg", "")
		for _, wrong := range []string{"https://", "//cdn", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "<script>", "<style", " style=", "onclick=\"", "localStorage"} {
			if strings.Contains(content, wrong) {
				t.Errorf("%s has %q", entry.Name(), wrong)
			}
		}
	}
}

func TestInputOfNonsense(t *testing.T) {
	s := away()
	s.settle(&Box{})
	for title, body := range map[string]string{
		"nothing":           "",
		"no object":         "7",
		"another field":     `{"percent":[]}`,
		"a wrong type":      `{"traffic":[{"percent":"all"}]}`,
		"more than allowed": `{"traffic":"` + strings.Repeat("x", bodyLimit) + `"}`,
	} {
		t.Run(title, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPut, "http://127.0.0.1:8090/api/services/default/hello/traffic", strings.NewReader(body))
			r.Header.Set(TokenHeader, token)
			w := httptest.NewRecorder()
			s.handler(8090).ServeHTTP(w, r)
			said, _ := io.ReadAll(w.Body)
			if w.Code != http.StatusBadRequest || !strings.HasPrefix(string(said), "reading the request: ") {
				t.Errorf("answers %d %s", w.Code, said)
			}
		})
	}
}
