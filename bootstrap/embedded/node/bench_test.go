package node

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// BenchmarkStart is the time from the request that makes a pod of two
// containers, whose image is there, to the first word of its process, which
// has a clock of its own; and the same for the runner's own start of one.
func BenchmarkStart(b *testing.B) {
	b.Run("pod", func(b *testing.B) {
		w := newWorld(b)
		var took time.Duration
		for b.Loop() {
			began := time.Now()
			other := serving("other")
			other.Ports, other.Env[0].Value, other.ReadinessProbe = nil, "0", nil
			pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app"), other}}), "a ready pod", isReady)
			said, _, _ := strings.Cut(w.logs(pod, "app", "timestamps=true"), " ")
			at, err := time.Parse(stamp, said)
			if err != nil {
				b.Fatal(err)
			}
			took += at.Sub(began)
			w.delete(pod, nil)
			w.wait(pod, "the pod to be gone", isGone)
		}
		b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms-to-listening")
	})
	b.Run("runner", func(b *testing.B) {
		dir := b.TempDir()
		r, err := runner.New(filepath.Join(dir, "runner"), runner.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		}()
		img, err := r.Pull(b.Context(), pushApp(b), false, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer img.Release()
		var took time.Duration
		for b.Loop() {
			words := make(firstWord, 1)
			began := time.Now()
			p, err := r.Start(b.Context(), runner.Spec{
				Image: img, Name: "app", Dir: filepath.Join(dir, "app"), Env: []string{"PORT=0"}, Stdout: words,
			})
			if err != nil {
				b.Fatal(err)
			}
			took += (<-words).Sub(began)
			if err := p.Remove(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms-to-listening")
	})
}

// firstWord gets the time of the first word.
type firstWord chan time.Time

func (w firstWord) Write(p []byte) (int, error) {
	select {
	case w <- time.Now():
	default:
	}
	return len(p), nil
}
