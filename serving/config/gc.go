package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// off is the value by which a bound of config-gc is none.
const off = "disabled"

// Collection is config-gc: which revisions that no route names may go. A bound
// below 0 is none.
type Collection struct {
	SinceCreated, SinceActive time.Duration // a revision is stale when both have passed
	Least, Most               int           // non-active revisions of a Configuration
}

// kept is how many revisions that no route names are kept of a Configuration,
// for rollbacks. A box makes a revision for every saved file, so that neither
// age nor Knative's twenty to a thousand would do.
const kept = 10

// ParseGC reads the data of config-gc. Its errors name the key.
func ParseGC(data map[string]string) (Collection, error) {
	c := Collection{48 * time.Hour, 15 * time.Hour, kept, kept}
	var wrong []error
	for key, into := range map[string]*time.Duration{"retain-since-create-time": &c.SinceCreated, "retain-since-last-active-time": &c.SinceActive} {
		text, ok := data[key]
		switch d, err := time.ParseDuration(text); {
		case !ok:
		case strings.EqualFold(text, off):
			*into = -1
		case err != nil || d < 0:
			wrong = append(wrong, fmt.Errorf("%s: %q must be a duration, such as 48h, or disabled", key, text))
		default:
			*into = d
		}
	}
	for key, into := range map[string]*int{"min-non-active-revisions": &c.Least, "max-non-active-revisions": &c.Most} {
		text, ok := data[key]
		switch n, err := strconv.Atoi(text); {
		case !ok:
		case strings.EqualFold(text, off) && key == "max-non-active-revisions":
			*into = -1
		case err != nil || n < 0:
			wrong = append(wrong, fmt.Errorf("%s: %q must be a whole number from 0", key, text))
		default:
			*into = n
		}
	}
	if len(wrong) == 0 && c.Most >= 0 && c.Least > c.Most {
		if _, set := data["min-non-active-revisions"]; set {
			wrong = append(wrong, fmt.Errorf("min-non-active-revisions: %d must be at most max-non-active-revisions, %d", c.Least, c.Most))
		}
		c.Least = c.Most
	}
	return c, errors.Join(wrong...)
}
