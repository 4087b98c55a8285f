package load

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// TimingHeader asks the activator for where a request's time goes.
const TimingHeader = "Devbox-Timing"

// waited is what the activator says of one request.
type waited struct {
	held time.Duration
	cold bool // while it was held a pod came up for it
	pod  string
}

// readWaited reads the activator's Server-Timing. Its own is the last one: what
// a container says by the same name comes first.
func readWaited(header http.Header) waited {
	values := header["Server-Timing"]
	if len(values) == 0 {
		return waited{}
	}
	ours := values[len(values)-1]
	if i := strings.LastIndex(ours, "held;dur="); i > 0 {
		ours = ours[i:]
	}
	held, rest, more := strings.Cut(strings.TrimPrefix(ours, "held;dur="), ", ")
	ms, err := strconv.ParseFloat(held, 64)
	if err != nil || !more || !(ms >= 0 && ms < 1e9) {
		return waited{}
	}
	w := waited{held: time.Duration(math.Round(ms * float64(time.Millisecond)))}
	w.cold = !strings.HasPrefix(rest, "pod;") // a step of the pod lies between
	if _, desc, ok := strings.Cut(rest, `desc="`); ok {
		w.pod = strings.TrimSuffix(desc, `"`)
	}
	return w
}
