package runner

import (
	"encoding/json"
	"io"
	"log"
	"testing"
)

var quiet = log.New(io.Discard, "", 0)

// self is what the payload reports of itself.
type selfReport struct {
	UID, GID, PID       int
	Groups              []int
	Hostname, Dir       string
	Env, Args           []string
	Effective, Bounding string
	NoNewPrivs          string
}

func (w *world) report(t testing.TB, s Spec) selfReport {
	t.Helper()
	out, exit := w.output(t, s, "report")
	var r selfReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit.Code != 0 {
		t.Fatalf("exit %d: %s", exit.Code, out)
	}
	return r
}

func TestSmoke(t *testing.T) {
	w := newWorld(t, Options{})
	t.Log(w.Isolation())
	image := w.payloadImage(t)
	defer image.Release()
	t.Logf("%+v", w.report(t, Spec{Image: image, Hostname: "pod-1"}))
	out, exit := w.output(t, Spec{Image: image, Hostname: "pod-1"}, "ls", "/*", "/dev/*", "/var/*", "/var/run/ko/*", "/etc/*", "/sys/*")
	t.Log(out, exit)
	out, exit = w.output(t, Spec{Image: image, Hostname: "pod-1"}, "cat", "/proc/self/mountinfo", "/etc/hosts")
	t.Log(out, exit)
}
