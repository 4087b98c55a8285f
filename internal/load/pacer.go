package load

import "time"

// pacer is vegeta's Pacer of a Rate. It waits by itself, because vegeta's own
// wait cannot be cut short. Late requests follow each other at once.
type pacer struct {
	done <-chan struct{} // closed when nothing more is to be sent
	rate Rate
	last time.Duration // what is due then or later is not sent; 0 is no end
	most uint64        // requests
	full func()        // called when there have been so many
}

// Pace implements vegeta.Pacer: it returns when the next request is due.
func (p pacer) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	if hits >= p.most {
		p.full()
	}
	select {
	case <-p.done:
		return 0, true
	default:
	}
	due := p.rate.due(hits)
	if p.last > 0 && due >= p.last {
		<-p.done
		return 0, true
	}
	early := due - elapsed
	if early <= 0 {
		return 0, false
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, false
	case <-p.done:
		return 0, true
	}
}

// Rate implements vegeta.Pacer.
func (p pacer) Rate(time.Duration) float64 { return p.rate.PerSecond() }
