package autoscaler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader reads typed values by key and keeps what is wrong with them. A key
// that is not there leaves what it is read into.
type reader struct {
	values  map[string]string
	spelled map[string]string // how errors call a key, where not by itself
	errs    []error
}

// err is everything that was wrong, in the order it was read.
func (r *reader) err() error { return errors.Join(r.errs...) }

func (r *reader) wrong(key, want string) {
	name, ok := r.spelled[key]
	if !ok {
		name = key
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %q %s", name, r.values[key], want))
}

func (r *reader) whole(key string, into *int32, low int32) {
	if text, ok := r.values[key]; ok {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || int32(n) < low {
			r.wrong(key, fmt.Sprintf("must be a whole number from %d to %d", low, math.MaxInt32))
			return
		}
		*into = int32(n)
	}
}

func (r *reader) number(key string, into *float64, low, high float64) {
	if text, ok := r.values[key]; ok {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f >= low && f <= high) { // so that NaN is wrong
			want := fmt.Sprintf("must be a number from %v to %v", low, high)
			if high == math.MaxFloat64 {
				want = fmt.Sprintf("must be a number, at least %v", low)
			}
			r.wrong(key, want)
			return
		}
		*into = f
	}
}

// percent reads a percentage as a share.
func (r *reader) percent(key string, into *float64, low, high float64) {
	percent := *into * 100
	if _, ok := r.values[key]; ok {
		r.number(key, &percent, low, high)
		*into = percent / 100
	}
}

// share reads a percentage, or what upstream once wrote in its place: a
// share of at most 1.
func (r *reader) share(key string, into *float64) {
	if text, ok := r.values[key]; ok {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f > 0 && f <= 100) {
			r.wrong(key, "must be a number above 0 and at most 100")
			return
		}
		if f > 1 {
			f /= 100
		}
		*into = f
	}
}

func (r *reader) above(key string, into *float64, bound float64) {
	if text, ok := r.values[key]; ok {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f > bound) || math.IsInf(f, 0) {
			r.wrong(key, fmt.Sprintf("must be a number above %v", bound))
			return
		}
		*into = f
	}
}

func (r *reader) burst(key string, into *float64) {
	if r.values[key] == "-1" {
		*into = -1
		return
	}
	if text, ok := r.values[key]; ok {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != -1 && !(f >= 0) || math.IsInf(f, 0) {
			r.wrong(key, "must be -1 for no limit, 0 for none, or a number above it")
			return
		}
		*into = f
	}
}

func (r *reader) span(key string, into *time.Duration, low, high time.Duration) {
	if text, ok := r.values[key]; ok {
		d, err := time.ParseDuration(text)
		if err != nil || d < low || d > high || d%time.Second != 0 {
			r.wrong(key, fmt.Sprintf("must be a duration of whole seconds from %v to %v", low, high))
			return
		}
		*into = d
	}
}

func (r *reader) truth(key string, into *bool) {
	if text, ok := r.values[key]; ok {
		b, err := strconv.ParseBool(text)
		if err != nil {
			r.wrong(key, "must be true or false")
			return
		}
		*into = b
	}
}

func (r *reader) oneOf(key string, into *string, values ...string) {
	if text, ok := r.values[key]; ok {
		if !slices.Contains(values, text) {
			r.wrong(key, "must be one of "+strings.Join(values, ", "))
			return
		}
		*into = text
	}
}
