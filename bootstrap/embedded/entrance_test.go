package embedded

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// told is a box whose process answers as h does.
func told(t *testing.T, h http.HandlerFunc) *bootstrap.Box {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	box := bootstrap.NewBox("one", "embedded", t.TempDir())
	if box.MetricsPort, err = strconv.Atoi(u.Port()); err != nil {
		t.Fatal(err)
	}
	box.Entrance = Engine{}.Enter(box)
	return box
}

func TestMetricsOfAProcess(t *testing.T) {
	box := told(t, func(w http.ResponseWriter, r *http.Request) {
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
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		port   int // where it is asked; 0 is where it answers
		older  bool
		want   string
	}{
		"a process of before":        {port: -1, older: true, want: "devbox up"},
		"nobody there":               {port: 1, want: "connection refused"},
		"somebody else, who refuses": {answer: says(http.StatusTeapot, "short and stout\nindeed"), want: "418 I'm a teapot: short and stout"},
		"somebody else, who answers": {answer: says(http.StatusOK, "<html>"), want: "reading the numbers of the box of box one"},
	} {
		t.Run(name, func(t *testing.T) {
			box := told(t, c.answer)
			if c.port != 0 {
				box.MetricsPort = max(0, c.port)
			}
			_, err := box.Metrics(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, bootstrap.ErrOlder) != c.older {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestTellLoop: what a session has counted goes to the controller, and a box
// that does not take it says why.
func TestTellLoop(t *testing.T) {
	const numbers = "devbox_loop_edits_total 3\n"
	const want = "PUT /loop"
	refuses := false
	box := told(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if got := r.Method + " " + r.URL.Path; got != want || string(body) != numbers || err != nil {
			t.Errorf("asked for %s with %q, %v", got, body, err)
		}
		if refuses {
			http.Error(w, "the loop's numbers are refused", http.StatusBadRequest)
		}
	})
	if err := box.TellLoop(t.Context(), []byte(numbers)); err != nil {
		t.Error(err)
	}
	refuses = true
	if err := box.TellLoop(t.Context(), []byte(numbers)); err == nil || !strings.Contains(err.Error(), "telling box one") {
		t.Errorf("a box that refuses: %v", err)
	}
}
