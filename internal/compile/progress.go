package compile

import (
	"fmt"
	"time"
)

// progress counts packages. The go command names the main package last, when
// all others are done and it is about to link.
type progress struct {
	todo  map[string]bool
	start time.Time

	done int
	said time.Time
}

// sayEvery is how often a person is told at most.
const sayEvery = 3 * time.Second

// next counts one more package and returns what there is to say, if anything.
// The time left takes all packages to be alike, which they are not; so it is
// said only once a tenth is done.
func (p *progress) next(now time.Time) string {
	p.done++
	if p.done < len(p.todo) && now.Sub(p.said) < sayEvery {
		return ""
	}
	p.said = now
	if p.done >= len(p.todo) {
		return "linking"
	}
	message := fmt.Sprintf("compiling, %d of %d packages", p.done, len(p.todo))
	if p.done*10 < len(p.todo) {
		return message
	}
	left := time.Duration(float64(now.Sub(p.start)) / float64(p.done) * float64(len(p.todo)-p.done))
	return message + ", about " + left.Round(unit(left)).String() + " left"
}

// unit rounds what is far away more.
func unit(left time.Duration) time.Duration {
	if left > time.Minute {
		return 10 * time.Second
	}
	return time.Second
}
