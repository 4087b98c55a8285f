package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newLog(t *testing.T) (log *logFile, out, err *lineWriter) {
	t.Helper()
	log, failure := createLog(filepath.Join(t.TempDir(), "logs", "0.log"))
	if failure != nil {
		t.Fatal(failure)
	}
	t.Cleanup(func() { _ = log.close() })
	return log, log.stream("stdout"), log.stream("stderr")
}

func readAll(t *testing.T, log *logFile, o corev1.PodLogOptions) string {
	t.Helper()
	var text bytes.Buffer
	if err := newReading(&o, time.Now(), &text).read(t.Context(), log.path, log); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestReadLog(t *testing.T) {
	log, out, err := newLog(t)
	fmt.Fprint(out, "one\ntw")
	fmt.Fprint(err, "oh\n")
	fmt.Fprint(out, "o\nthree")
	out.flush()
	for name, c := range map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"all":        {corev1.PodLogOptions{}, "one\noh\ntwo\nthree\n"},
		"tail":       {corev1.PodLogOptions{TailLines: new(int64(2))}, "two\nthree\n"},
		"no tail":    {corev1.PodLogOptions{TailLines: new(int64(0))}, ""},
		"limit":      {corev1.PodLogOptions{LimitBytes: new(int64(6))}, "one\noh"},
		"one stream": {corev1.PodLogOptions{Stream: new(corev1.LogStreamStderr)}, "oh\n"},
		"since":      {corev1.PodLogOptions{SinceSeconds: new(int64(60))}, "one\noh\ntwo\nthree\n"},
		"too late":   {corev1.PodLogOptions{SinceTime: &metav1.Time{Time: time.Now().Add(time.Minute)}}, ""},
	} {
		if got := readAll(t, log, c.options); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	stamped := readAll(t, log, corev1.PodLogOptions{Timestamps: true, TailLines: new(int64(1))})
	at, text, _ := strings.Cut(stamped, " ")
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil || text != "three\n" {
		t.Errorf("with timestamps: got %q", stamped)
	}
}

func TestLongLineIsOneLine(t *testing.T) {
	log, out, _ := newLog(t)
	long := strings.Repeat("x", 3*maxLine+7)
	fmt.Fprintln(out, long)
	if got := readAll(t, log, corev1.PodLogOptions{}); got != long+"\n" {
		t.Errorf("got %d bytes, want %d", len(got), len(long)+1)
	}
}

// TestLogIsBounded writes more than is kept, and follows it from the start:
// the follower misses nothing of what is cut off meanwhile.
func TestLogIsBounded(t *testing.T) {
	log, out, _ := newLog(t)
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := newReading(&corev1.PodLogOptions{Follow: true}, time.Now(), writer).read(t.Context(), log.path, log)
		_ = writer.CloseWithError(err)
		done <- err
	}()
	line := bytes.Repeat([]byte("y"), 1000)
	followed := make([]byte, len(line)+1)
	const lines = 2*maxLog/1000 + 2000
	for i := range lines {
		fmt.Fprintf(out, "%s\n", line)
		if _, err := io.ReadFull(reader, followed); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("after the last line: %d bytes, %v", len(rest), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	kept := len(readAll(t, log, corev1.PodLogOptions{}))
	if kept < maxLog/2 || kept > 2*maxLog {
		t.Errorf("%d bytes are kept, want the last %d to %d", kept, maxLog, 2*maxLog)
	}
}

func TestFollowingEndsWithItsReader(t *testing.T) {
	log, out, _ := newLog(t)
	fmt.Fprintln(out, "one")
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- newReading(&corev1.PodLogOptions{Follow: true}, time.Now(), writer).read(ctx, log.path, log)
	}()
	if _, err := io.ReadFull(reader, make([]byte, len("one\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLastWords(t *testing.T) {
	log, out, err := newLog(t)
	for i := range 100 {
		fmt.Fprintln(out, "line", i)
	}
	fmt.Fprintln(err, "panic: no")
	got := lastWords(log.path)
	if !strings.HasPrefix(got, "line 21\n") || !strings.HasSuffix(got, "line 99\npanic: no\n") {
		t.Errorf("got %q, want the last 80 lines", got)
	}
	fmt.Fprintln(out, strings.Repeat("z", 5000))
	if got := lastWords(log.path); len(got) != 2<<10 {
		t.Errorf("got %d bytes, want 2048", len(got))
	}
}
