package activator

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// BenchmarkHeld is the memory of requests that wait for a revision's first
// pod: 10,000 connections with one each. What net/http alone takes for as many
// is the reference.
func BenchmarkHeld(b *testing.B) {
	const n = 10_000
	const get = "GET / HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4\r\n\r\nbody"
	var reference float64
	for _, test := range []struct {
		name, request string
		start         func(testing.TB) (url string, held func() int)
	}{
		{"net-http-GET", get, bareServer},
		{"GET", get, heldFromZero},
		{"POST", post, heldFromZero},
	} {
		b.Run(test.name, func(b *testing.B) {
			url, held := test.start(b)
			var each float64
			for b.Loop() {
				before := inUse()
				clients := newCrowd(b, strings.TrimPrefix(url, "http://"), n, test.request)
				until(b, "all are held", func() bool { return held() == n })
				each = float64(inUse()-before) / n
				clients.leave()
				until(b, "none is held", func() bool { return held() == 0 })
			}
			if reference == 0 {
				reference = each
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(each, "B/conn")
			b.ReportMetric(each/reference, "x-net-http")
		})
	}
}

// heldFromZero is a box whose one revision has no pod.
func heldFromZero(t testing.TB) (string, func() int) {
	box := newBox(t)
	box.route(to("hello-00001", 100))
	return box.url, func() int { return box.look("hello-00001", func(r *revision) int { return r.waiting.Len() }) }
}

// bareServer is a server that holds requests and does nothing else.
func bareServer(t testing.TB) (string, func() int) {
	var held atomic.Int64
	listener := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := proxy.Server{Listener: listener, Limit: time.Second, Log: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			held.Add(1)
			<-r.Context().Done()
			held.Add(-1)
		})}
	go func() { done <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), func() int { return int(held.Load()) }
}

// inUse is the memory that a collection leaves.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // the first one only empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
