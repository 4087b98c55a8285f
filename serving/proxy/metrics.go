package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of a Histogram in milliseconds, Knative's own.
var bounds = [...]float64{5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 2000, 5000, 10000, 20000, 50000, 100000}

// Histogram counts durations. Nothing waits for anything in it, and the zero
// Histogram is ready for use.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	micros  atomic.Uint64
}

// Observe counts a duration.
func (h *Histogram) Observe(took time.Duration) {
	ms := float64(took) / float64(time.Millisecond)
	i := 0
	for i < len(bounds) && ms > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.micros.Add(uint64(max(0, took.Microseconds())))
}

// Count is how many durations there were.
func (h *Histogram) Count() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// Write writes h as name{labels}, and nothing where nothing was counted.
func (h *Histogram) Write(w io.Writer, name, labels string) {
	if h.Count() > 0 {
		h.write(w, name, labels, 1)
	}
}

// write writes h in units of so many milliseconds.
func (h *Histogram) write(w io.Writer, name, labels string, unit float64) {
	var sum uint64
	for i := range h.buckets {
		sum += h.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i]/unit, 'g', -1, 64)
		}
		fmt.Fprintf(w, "%s_bucket{%s,le=%q} %d\n", name, labels, bound, sum)
	}
	fmt.Fprintf(w, "%s_sum{%s} %g\n", name, labels, float64(h.micros.Load())/1000/unit)
	fmt.Fprintf(w, "%s_count{%s} %d\n", name, labels, sum)
}

// classes are the response code classes 1xx to 5xx, by their first digit.
const classes = 5

// codes are the response codes that are counted one by one: those that have a
// name. A container may answer with any other, but not make a series of each.
var codes = func() (all []int) {
	for code := 100; code < 100*(classes+1); code++ {
		if http.StatusText(code) != "" {
			all = append(all, code)
		}
	}
	return all
}()

// otherCode is the response code of all that have no name.
const otherCode = "other"

// Responses counts responses and how long they took, by their code. The zero
// Responses is ready for use.
type Responses struct {
	took  [classes]Histogram
	named [maxCodes]atomic.Uint64 // as codes
}

// maxCodes is as many as codes has, or more.
const maxCodes = 64

// Observe counts a response. Status 0 means that there was none.
func (r *Responses) Observe(status int, took time.Duration) {
	class := status / 100
	if class < 1 || class > classes {
		class = classes
	}
	r.took[class-1].Observe(took)
	if i, ok := slices.BinarySearch(codes, status); ok {
		r.named[i].Add(1)
	}
}

// WriteCounts writes how many there were as name{labels}.
func (r *Responses) WriteCounts(w io.Writer, name, labels string) {
	var named [classes]uint64
	for i, code := range codes {
		if n := r.named[i].Load(); n > 0 {
			named[code/100-1] += n
			writeCount(w, name, labels, strconv.Itoa(code), code/100, n)
		}
	}
	for class := range r.took {
		if n := r.took[class].Count(); n > named[class] {
			writeCount(w, name, labels, otherCode, class+1, n-named[class])
		}
	}
}

func writeCount(w io.Writer, name, labels, code string, class int, n uint64) {
	fmt.Fprintf(w, "%s{%s,response_code=%q,response_code_class=\"%dxx\"} %d\n", name, labels, code, class, n)
}

// WriteLatencies writes how long they took as name{labels}.
func (r *Responses) WriteLatencies(w io.Writer, name, labels string) {
	for class := range r.took {
		r.took[class].Write(w, name, fmt.Sprintf("%s,response_code_class=\"%dxx\"", labels, class+1))
	}
}

// WriteSeconds writes how long all of them took as name{labels}, in seconds.
func (r *Responses) WriteSeconds(w io.Writer, name, labels string) {
	var all Histogram
	for class := range r.took {
		h := &r.took[class]
		for i := range h.buckets {
			all.buckets[i].Add(h.buckets[i].Load())
		}
		all.micros.Add(h.micros.Load())
	}
	all.write(w, name, labels, 1000)
}

// Describe begins a metric: its kind is counter, gauge or histogram.
func Describe(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}
