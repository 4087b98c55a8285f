package proxy

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestCodes: the codes that are counted one by one fit where they are counted.
func TestCodes(t *testing.T) {
	if len(codes) > maxCodes {
		t.Errorf("there are %d codes, and room for %d", len(codes), maxCodes)
	}
}

// TestResponses: a container that answers with every code there may be makes
// no more series than there are names of codes.
func TestResponses(t *testing.T) {
	var r Responses
	for status := range 1000 {
		r.Observe(status, 7*time.Millisecond)
	}
	var text strings.Builder
	r.WriteCounts(&text, "count", `a="b"`)
	for _, want := range []string{
		`count{a="b",response_code="200",response_code_class="2xx"} 1`,
		`count{a="b",response_code="418",response_code_class="4xx"} 1`,
		`count{a="b",response_code="other",response_code_class="1xx"} 96`,
		`count{a="b",response_code="other",response_code_class="5xx"} 589`, // 600 and above, below 100, and no answer
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if lines := strings.Count(text.String(), "\n"); lines != len(codes)+classes {
		t.Errorf("%d series:\n%s", lines, text.String())
	}
	text.Reset()
	r.WriteLatencies(&text, "took", `a="b"`)
	if !strings.Contains(text.String(), `took_count{a="b",response_code_class="2xx"} 100`+"\n") {
		t.Error(text.String())
	}
	text.Reset()
	r.WriteSeconds(&text, "took", `a="b"`)
	for _, want := range []string{`took_bucket{a="b",le="0.005"} 0`, `took_bucket{a="b",le="0.01"} 1000`, `took_sum{a="b"} 7`, `took_count{a="b"} 1000`} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("missing %s in\n%s", want, text.String())
		}
	}
}

func TestExposition(t *testing.T) {
	var e Exposition
	for _, part := range []string{"one 1\n", "two 2\n"} {
		e.Add(func(w io.Writer) { _, _ = io.WriteString(w, part) })
	}
	for range 2 { // reading changes nothing
		w := httptest.NewRecorder()
		e.ServeHTTP(w, nil)
		if got := w.Body.String(); got != "one 1\ntwo 2\n" {
			t.Errorf("got %q", got)
		}
	}
}

func TestWriteProcess(t *testing.T) {
	if _, ok := field("/proc/self/statm", 1); !ok {
		t.Skip("the kernel does not say what a process takes")
	}
	var text strings.Builder
	WriteProcess(&text)
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if !strings.Contains(text.String(), "\n"+name+" ") {
			t.Errorf("no %s in\n%s", name, text.String())
		}
	}
	if n, ok := field("/proc/self/nothing", 0); ok {
		t.Errorf("a file that is not there has %v", n)
	}
	if n, ok := field("/proc/self/stat", 1000); ok {
		t.Errorf("a field that is not there is %v", n)
	}
}
