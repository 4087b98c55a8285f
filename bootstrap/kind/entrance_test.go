package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// told is a box whose API server answers as h does.
func told(t *testing.T, h http.HandlerFunc) *bootstrap.Box {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	box := bootstrap.NewBox("one", "kind", t.TempDir())
	kubeconfig := "apiVersion: v1\nkind: Config\ncurrent-context: one\n" +
		"clusters: [{name: one, cluster: {server: " + server.URL + "}}]\n" +
		"contexts: [{name: one, context: {cluster: one, user: one}}]\nusers: [{name: one}]\n"
	if err := bootstrap.WritePrivate(box.Kubeconfig, []byte(kubeconfig)); err != nil {
		t.Fatal(err)
	}
	box.Entrance = Engine{}.Enter(box)
	return box
}

func TestMetricsOfPods(t *testing.T) {
	box := told(t, func(w http.ResponseWriter, r *http.Request) {
		rest, services := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/knative-serving/services/")
		part, numbers := strings.CutSuffix(rest, ":http-metrics/proxy/metrics")
		if !services || !numbers {
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
	noPort := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no service port \"http-metrics\" found for service \"controller\"","reason":"ServiceUnavailable","code":503}`
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		older  bool
		want   string
	}{
		"pods of before": {answer: says(http.StatusServiceUnavailable, noPort), older: true, want: "devbox up"},
		"no pods":        {answer: says(http.StatusNotFound, "services \"controller\" not found"), older: true, want: "controller"},
	} {
		t.Run(name, func(t *testing.T) {
			box := told(t, c.answer)
			_, err := box.Metrics(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, bootstrap.ErrOlder) != c.older {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("no kubeconfig", func(t *testing.T) {
		box := told(t, nil)
		if err := os.Remove(box.Kubeconfig); err != nil {
			t.Fatal(err)
		}
		if _, err := box.Metrics(t.Context()); err == nil || !strings.Contains(err.Error(), "kubeconfig of box one") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTellLoop: what a session has counted goes to the controller, and a box
// that does not take it says why.
func TestTellLoop(t *testing.T) {
	const numbers = "devbox_loop_edits_total 3\n"
	const want = "PUT /api/v1/namespaces/knative-serving/services/controller:http-metrics/proxy/loop"
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

// TestTheClusterIsGone ends a box whose node docker does not know any more, and
// not one whose docker does not answer.
func TestTheClusterIsGone(t *testing.T) {
	box := bootstrap.NewBox("devbox", "kind", t.TempDir())
	dockerIs(t, running+noCluster+esac)
	if err := (entrance{box, time.Millisecond}).Ended(t.Context()); err == nil || err.Error() != "its cluster is gone" {
		t.Errorf("got %v", err)
	}
	asked := filepath.Join(t.TempDir(), "asked")
	dockerIs(t, "echo >> "+asked+"; echo 'Cannot connect to the Docker daemon' >&2; exit 1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (entrance{box, time.Millisecond}).Ended(ctx) }()
	for n := 0; n <= 2*looks; {
		lines, _ := os.ReadFile(asked) // there is none before the first look
		n = len(lines)
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("docker that does not answer: %v", err)
	}
}
