package bootstrap

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// told is a box whose parts answer as h does.
func told(t *testing.T, engine string, h http.HandlerFunc) *Box {
	t.Helper()
	home(t)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	dir, err := dirOf("one")
	if err != nil {
		t.Fatal(err)
	}
	box := newBox("one", engine, dir)
	if engine == engineEmbedded {
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if box.MetricsPort, err = strconv.Atoi(u.Port()); err != nil {
			t.Fatal(err)
		}
		return box
	}
	kubeconfig := "apiVersion: v1\nkind: Config\ncurrent-context: one\n" +
		"clusters: [{name: one, cluster: {server: " + server.URL + "}}]\n" +
		"contexts: [{name: one, context: {cluster: one, user: one}}]\nusers: [{name: one}]\n"
	if err := writePrivate(box.Kubeconfig, []byte(kubeconfig)); err != nil {
		t.Fatal(err)
	}
	return box
}

func TestMetricsOfAProcess(t *testing.T) {
	box := told(t, engineEmbedded, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "GET /metrics" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		fmt.Fprint(w, "# TYPE activator_pods gauge\nactivator_pods{revision_name=\"a\"} 2\n# TYPE go_goroutines gauge\ngo_goroutines 7\n")
	})
	all, err := box.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := all["activator_pods"].GetMetric()[0].GetGauge().GetValue(); got != 2 {
		t.Errorf("got %v pods", got)
	}
	if all["go_goroutines"] == nil {
		t.Error("the numbers of the one process are missing")
	}
}

func TestMetricsOfPods(t *testing.T) {
	box := told(t, engineKind, func(w http.ResponseWriter, r *http.Request) {
		part, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/knative-serving/services/")
		if part, ok = strings.CutSuffix(part, ":http-metrics/proxy/metrics"); !ok {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintf(w, "# TYPE go_goroutines gauge\ngo_goroutines 7\n# TYPE shared counter\nshared{part=%q} 1\n# TYPE %s_own gauge\n%s_own 1\n", part, part, part)
	})
	all, err := box.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"activator_own", "controller_own", "registry_own"} {
		if all[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if got := len(all["shared"].GetMetric()); got != 3 {
		t.Errorf("%d parts have a metric that three have", got)
	}
	if all["go_goroutines"] != nil {
		t.Error("numbers of several processes look like those of one")
	}
}

func TestMetricsOfABoxThatTellsNone(t *testing.T) {
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if strings.HasPrefix(text, "{") {
				w.Header().Set("Content-Type", "application/json")
			}
			w.WriteHeader(status)
			fmt.Fprintln(w, text)
		}
	}
	noPort := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no service port \"http-metrics\" found for service \"activator\"","reason":"ServiceUnavailable","code":503}`
	for name, c := range map[string]struct {
		engine string
		answer http.HandlerFunc
		port   int // where it is asked; 0 is where it answers
		older  bool
		want   string
	}{
		"a process of before":        {engine: engineEmbedded, port: -1, older: true, want: "devbox up"},
		"pods of before":             {engine: engineKind, answer: says(http.StatusServiceUnavailable, noPort), older: true, want: "devbox up"},
		"no pods":                    {engine: engineKind, answer: says(http.StatusNotFound, "services \"activator\" not found"), older: true, want: "activator"},
		"nobody there":               {engine: engineEmbedded, port: 1, want: "connection refused"},
		"somebody else, who refuses": {engine: engineEmbedded, answer: says(http.StatusTeapot, "short and stout\nindeed"), want: "418 I'm a teapot: short and stout"},
		"somebody else, who answers": {engine: engineEmbedded, answer: says(http.StatusOK, "<html>"), want: "reading the numbers of the box of box one"},
	} {
		t.Run(name, func(t *testing.T) {
			box := told(t, c.engine, c.answer)
			if c.port != 0 {
				box.MetricsPort = max(0, c.port)
			}
			_, err := box.Metrics(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrOlder) != c.older {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("no kubeconfig", func(t *testing.T) {
		box := told(t, engineKind, nil)
		if err := os.Remove(box.Kubeconfig); err != nil {
			t.Fatal(err)
		}
		if _, err := box.Metrics(t.Context()); err == nil || !strings.Contains(err.Error(), "kubeconfig of box one") {
			t.Errorf("got %v", err)
		}
	})
}

// TestMetricsPort: a box of before gets a port, one that runs keeps its own,
// and a port that somebody has taken meanwhile is given up.
func TestMetricsPort(t *testing.T) {
	taken, err := anyFree()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	busy, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		engine string
		before int
		there  bool
		kept   bool
		none   bool
	}{
		"of before":     {engine: engineEmbedded},
		"it runs":       {engine: engineEmbedded, before: busy, there: true, kept: true},
		"it has ended":  {engine: engineEmbedded, before: taken, kept: true},
		"it is taken":   {engine: engineEmbedded, before: busy},
		"a kind box's":  {engine: engineKind, none: true},
		"of before, up": {engine: engineEmbedded, there: true},
	} {
		s := survey{box: &Box{Engine: c.engine, MetricsPort: c.before, Complete: true}, there: c.there}
		s.ports(t.Context(), Config{Port: 0})
		got := s.box.MetricsPort
		if c.kept && got != c.before || !c.kept && !c.none && (got == 0 || got == c.before) || c.none && got != 0 {
			t.Errorf("%s: from %d to %d", name, c.before, got)
		}
	}
}
