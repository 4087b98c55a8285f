//go:build e2e

package bench

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkParts runs the activator's own benchmarks, which measure it against
// net/http, and keeps what they say.
func BenchmarkParts(b *testing.B) {
	measure := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark(Proxied|Held|Throughput)$", "-benchmem", "../../serving/activator")
	out, err := measure.CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", measure, err, out)
	}
	figures := parse(string(out))
	figure := func(name, unit string) float64 {
		value, ok := figures[name+" "+unit]
		if !ok {
			b.Fatalf("%s has no %s:\n%s", name, unit, out)
		}
		return value
	}
	proxied := func(by, unit string) float64 { return figure("Proxied/"+by, unit) }
	held := func(by string) float64 { return figure("Held/"+by, "B/conn") }
	const plain = "net-http"
	noteIn(b, parts, row{
		what:     "the activator itself, of a request that it passes on: allocations",
		measured: fmt.Sprintf("%.0f, %.0f bytes", proxied("activator", "allocs/op"), proxied("activator", "B/op")),
		against:  fmt.Sprintf("httputil.ReverseProxy: %.0f, %.0f bytes", proxied(plain, "allocs/op"), proxied(plain, "B/op")),
		ratio:    fmt.Sprintf("%.2f of the bytes", proxied("activator", "B/op")/proxied(plain, "B/op")),
	}, row{
		what:     "the same: time",
		measured: fmt.Sprintf("%.1f µs", proxied("activator", "ns/op")/1000),
		against:  fmt.Sprintf("httputil.ReverseProxy: %.1f µs", proxied(plain, "ns/op")/1000),
		ratio:    fmt.Sprintf("%.2f", proxied("activator", "x-net-http")),
	}, row{
		what:     "the activator and queue-proxy in a row, the most requests a second, 32 clients",
		measured: fmt.Sprintf("%.0f", figure("Throughput/activator-and-queue-proxy", "req/s")),
		against:  fmt.Sprintf("two of httputil.ReverseProxy: %.0f", figure("Throughput/two-plain-proxies", "req/s")),
		ratio:    fmt.Sprintf("%.2f", figure("Throughput/activator-and-queue-proxy", "x-two-plain-proxies")),
	}, row{
		what:     "10,000 connections with a request each that is held for a pod, the client's end included: memory of one",
		measured: fmt.Sprintf("%.1f KB; with a body %.1f KB", held("GET")/1000, held("POST")/1000),
		against:  fmt.Sprintf("net/http that holds as many and does nothing else: %.1f KB", held(plain+"-GET")/1000),
		ratio:    fmt.Sprintf("%.2f", held("GET")/held(plain+"-GET")),
	})
}

// parse returns what benchmarks printed, by name and unit.
//
//	BenchmarkProxied/activator-2    150309    10101 ns/op    0.3974 x-net-http    3221 B/op    33 allocs/op
func parse(out string) map[string]float64 {
	figures := map[string]float64{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		name, ok := strings.CutPrefix(line, "Benchmark")
		if !ok || len(fields) < 4 {
			continue
		}
		name, _, _ = strings.Cut(name, "\t")
		name = strings.TrimSpace(name)
		if i := strings.LastIndexByte(name, '-'); i >= 0 { // the number of cores
			name = name[:i]
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[name+" "+fields[i+1]] = value
			}
		}
	}
	return figures
}
