package runner

import (
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// BenchmarkStart is from the call of Start to its return, which is when the
// image's program has taken over; the end of the process is not in it.
func BenchmarkStart(b *testing.B) {
	for name, o := range map[string]Options{"isolated": {}, "direct": {Direct: true}} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, o)
			image := w.payloadImage(b)
			defer image.Release()
			s := w.spec(b, Spec{Image: image, Name: "bench"}, io.Discard, "stubborn")
			for b.Loop() {
				p, err := w.Start(b.Context(), s)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := p.Remove(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkPull is an image with one new layer of 8 MB, as after an edit.
func BenchmarkPull(b *testing.B) {
	content := make([]byte, 8<<20)
	source := rand.NewChaCha8([32]byte{})
	w := newWorld(b, Options{Keep: -1})
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		b.StopTimer()
		_, _ = source.Read(content)
		ref := w.push(b, "app", v1.Config{}, uncompressed(b, file("ko-app/app", 0o555, string(content))))
		b.StartTimer()
		image := w.pull(b, ref)
		b.StopTimer()
		image.Release()
		b.StartTimer()
	}
	if left := entries(b, filepath.Join(w.dir, "runner/layers")); len(left) != 0 {
		b.Errorf("layers stay: %v", left)
	}
}
