package activator

import (
	"fmt"
	"io"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// A cold start is the first request that a pod is given, where that request
// was held until the pod answered. So each pod makes one at most, however many
// requests waited for it, and a pod that was there before anybody asked makes
// none.

// phases are the parts of a cold start. The last is all of it, from when the
// request came to when its response began.
var phases = [...]string{"decided", "created", "sandbox", "started", "listening", "first_byte", "total"}

// coldStarts are how long the phases of a revision's cold starts took.
type coldStarts [len(phases)]proxy.Histogram

// observe takes a cold start whose response begins now. A phase that was over
// before the request came, or that is not known, is left out.
func (c *coldStarts) observe(t *trip, now time.Time) {
	for _, s := range t.steps(now) {
		c.phase(s.name).Observe(s.took)
	}
	c.phase("first_byte").Observe(now.Sub(t.arrived) - t.held)
	c.phase("total").Observe(now.Sub(t.arrived))
}

func (c *coldStarts) phase(name string) *proxy.Histogram {
	for i, p := range phases {
		if p == name {
			return &c[i]
		}
	}
	panic("no phase of a cold start is called " + name)
}

func (c *coldStarts) write(w io.Writer, name, labels string) {
	for i := range c {
		c[i].Write(w, name, fmt.Sprintf("%s,phase=%q", labels, phases[i]))
	}
}
