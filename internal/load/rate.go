package load

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how many requests begin in a span of time. The zero Rate is as many
// as can be carried.
type Rate struct {
	Freq int
	Per  time.Duration
}

// maxPerSecond is more than one machine sends to itself; a rate above it is a
// slip of the finger.
const maxPerSecond = 1_000_000

// ParseRate reads a rate as vegeta writes it: 50/1s, 50/s, 3/m, or 50 for so
// many a second; 0 and infinity are the zero Rate.
func ParseRate(text string) (Rate, error) {
	number, per, split := strings.Cut(text, "/")
	if text == "infinity" {
		return Rate{}, nil
	}
	freq, err := strconv.Atoi(number)
	if err != nil || freq < 0 {
		return Rate{}, fmt.Errorf("%q is no rate: it is a whole number of requests in a time, such as 50/1s, 50 for a second of it, or 0 for as many as go", text)
	}
	r := Rate{freq, time.Second}
	if split {
		if per != "" && (per[0] < '0' || per[0] > '9') {
			per = "1" + per // 50/s
		}
		if r.Per, err = time.ParseDuration(per); err != nil || r.Per <= 0 {
			return Rate{}, fmt.Errorf("%q is no rate: what follows the slash is a time above 0, such as 1s or 1m", text)
		}
	}
	if freq == 0 {
		return Rate{}, nil
	}
	if r.PerSecond() > maxPerSecond {
		return Rate{}, fmt.Errorf("%q is no rate that one machine can send: at most %d requests a second", text, maxPerSecond)
	}
	return r, nil
}

// Unbound says that nothing but the answers sets the pace.
func (r Rate) Unbound() bool { return r.Freq == 0 }

// PerSecond is the rate in requests a second; 0 where nothing bounds it.
func (r Rate) PerSecond() float64 {
	if r.Unbound() {
		return 0
	}
	return float64(r.Freq) / r.Per.Seconds()
}

// due is when request n is to begin, counted from the first, which is 0.
func (r Rate) due(n uint64) time.Duration {
	if r.Unbound() {
		return 0
	}
	freq := uint64(r.Freq)
	return time.Duration(n/freq)*r.Per + time.Duration(float64(n%freq)*float64(r.Per)/float64(freq))
}

// within is how many requests are due before d has passed.
func (r Rate) within(d time.Duration) uint64 {
	if r.Unbound() || d <= 0 {
		return 0
	}
	whole := uint64(d / r.Per)
	n := whole*uint64(r.Freq) + uint64(float64(d%r.Per)*float64(r.Freq)/float64(r.Per))
	if r.due(n) < d {
		n++ // the first of them is due at once
	}
	return n
}

// String is the rate as ParseRate reads it.
func (r Rate) String() string {
	if r.Unbound() {
		return "0"
	}
	if r.Per == time.Second {
		return fmt.Sprintf("%d/s", r.Freq)
	}
	return fmt.Sprintf("%d/%s", r.Freq, r.Per)
}
