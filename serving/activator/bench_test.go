package activator

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// BenchmarkRoad measures one request after the other over real connections.
// What the road costs is the ratio to as many plain reverse proxies of the
// standard library, which are the least that two hops can cost.
func BenchmarkRoad(b *testing.B) {
	box := newBox(b)
	p := box.pod("p", "hello-00001", says("hello"))
	box.route(to("hello-00001", 100))
	box.answers("hello-00001", 1)
	user := "http://" + p.user.Addr
	one := plain(b, user)
	two := plain(b, one)
	sidecar := "http://" + addressOf(&p.pod)

	took := make(map[string]time.Duration)
	for _, road := range []struct{ name, url, against string }{
		{"no-proxy", user, ""},
		{"one-plain-proxy", one, "no-proxy"},
		{"queue-proxy", sidecar, "one-plain-proxy"},
		{"two-plain-proxies", two, "no-proxy"},
		{"activator-and-queue-proxy", box.url, "two-plain-proxies"},
	} {
		b.Run(road.name, func(b *testing.B) {
			transport := proxy.NewTransport(proxy.TransportConfig{Idle: time.Minute})
			defer transport.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				ask(b, transport, road.url)
			}
			took[road.name] = b.Elapsed() / time.Duration(b.N)
			if other := took[road.against]; other > 0 {
				b.ReportMetric(float64(took[road.name])/float64(other), "x-"+road.against)
			}
		})
	}
}

// BenchmarkThroughput is the most that the road carries on these cores, client
// and container included, with 32 clients for each; again two plain reverse
// proxies are the reference.
func BenchmarkThroughput(b *testing.B) {
	box := newBox(b)
	p := box.pod("p", "hello-00001", says("hello"))
	box.route(to("hello-00001", 100))
	box.answers("hello-00001", 1)
	var reference float64
	for _, road := range []struct{ name, url string }{
		{"two-plain-proxies", plain(b, plain(b, "http://"+p.user.Addr))},
		{"activator-and-queue-proxy", box.url},
	} {
		b.Run(road.name, func(b *testing.B) {
			transport := proxy.NewTransport(proxy.TransportConfig{Idle: time.Minute})
			defer transport.CloseIdleConnections()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ask(b, transport, road.url)
				}
			})
			rate := float64(b.N) / b.Elapsed().Seconds()
			if road.name == "two-plain-proxies" {
				reference = rate
			}
			b.ReportMetric(rate, "req/s")
			b.ReportMetric(rate/reference, "x-two-plain-proxies")
		})
	}
}

// ask sends one request and reads its answer.
func ask(b *testing.B, transport http.RoundTripper, url string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	req.Host = host
	resp, err := transport.RoundTrip(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Error(resp.Status)
	}
}

// plain is the standard library's reverse proxy, with connections kept.
func plain(b *testing.B, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		b.Fatal(err)
	}
	reverse := &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
	}
	listener := listen(b)
	server := &http.Server{Handler: reverse}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// BenchmarkTake is the activator's own part of a request: find the road, take
// a pod, give it back.
func BenchmarkTake(b *testing.B) {
	box := newBox(b)
	box.pod("p", "hello-00001", says("hello"))
	box.route(to("hello-00001", 100))
	box.answers("hello-00001", 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			road, _ := box.activator.roads.find(host)
			rev := road.pick(nil)
			now := time.Now()
			rev.count.Begin(now)
			p, err := rev.take(b.Context(), rider(now))
			if err != nil {
				b.Fatal(err)
			}
			rev.release(p)
			rev.count.End(time.Now())
		}
	})
}
