package controller

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func say(l *loopNumbers, text string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/loop", strings.NewReader(text)))
	return w
}

func TestLoopNumbers(t *testing.T) {
	const right = "# TYPE devbox_loop_edits_total counter\ndevbox_loop_edits_total{service_name=\"hello\"} %d\n"
	synctest.Test(t, func(t *testing.T) {
		l := &loopNumbers{}
		served := func(want float64, why string) {
			t.Helper()
			families, err := l.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := -1.0
			if len(families) > 0 {
				got = families[0].GetMetric()[0].GetCounter().GetValue()
			}
			if got != want {
				t.Errorf("%s: got %v, want %v", why, got, want)
			}
		}
		served(-1, "nobody has said anything")
		for n := range 2 {
			if w := say(l, fmt.Sprintf(right, n+1)); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		served(2, "the last word counts")

		for what, text := range map[string]string{
			"not prometheus":  "edits: 7",
			"another's name":  "# TYPE autoscaler_desired_pods gauge\nautoscaler_desired_pods 1000\n",
			"a name like it":  "devbox_loops_total 1\n",
			"the same twice":  fmt.Sprintf(right, 7) + "devbox_loop_edits_total{service_name=\"hello\"} 8\n",
			"a binary":        "\x00\x01\x02",
			"a label unended": "devbox_loop_edits_total{service_name=\"he\n",
		} {
			if w := say(l, text); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "refused") {
				t.Errorf("%s: %d %s", what, w.Code, w.Body)
			}
		}
		if w := say(l, strings.Repeat("# more and more\n", loopLimit/16+1)); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("too much: %d %s", w.Code, w.Body)
		}
		served(2, "what is refused changes nothing")

		time.Sleep(loopLife - time.Nanosecond)
		served(2, "within a minute")
		time.Sleep(time.Nanosecond)
		served(-1, "after a minute of silence")
	})
}
