package activator

import "math/rand/v2"

// firstFreeUpTo is the containerConcurrency up to which requests are packed
// onto the first pods, so that the others can go.
const firstFreeUpTo = 3

// choose returns the pod that takes the next request, or nil when none may.
// The choice is Knative's:
//
//	limit 0     of two at random the one with fewer requests in flight
//	limit 1-3   the first that is free
//	above that  the next one in turn that is free
//
// No pod is ever given more than limit.
func choose(pods []*pod, limit int, turn *int) *pod {
	switch {
	case len(pods) == 0:
		return nil
	case limit == 0:
		return lighterOfTwo(pods)
	case limit <= firstFreeUpTo:
		first := 0
		return nextFree(pods, limit, &first)
	}
	return nextFree(pods, limit, turn)
}

// lighterOfTwo takes two different pods at random.
func lighterOfTwo(pods []*pod) *pod {
	n := len(pods)
	if n == 1 {
		return pods[0]
	}
	i, j := rand.IntN(n), rand.IntN(n-1)
	if j >= i {
		j++
	}
	if pods[j].inFlight < pods[i].inFlight {
		return pods[j]
	}
	return pods[i]
}

// nextFree is the first pod below limit whose turn it is; the turn passes to
// the one after it.
func nextFree(pods []*pod, limit int, turn *int) *pod {
	for i := range pods {
		at := (*turn + i) % len(pods)
		if p := pods[at]; p.inFlight < limit {
			*turn = at + 1
			return p
		}
	}
	return nil
}
