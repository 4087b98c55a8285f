//go:build linux || darwin

package load

import "golang.org/x/sys/unix"

// descriptors is how many files this process may have open. What the user may
// raise it to is taken.
func descriptors() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if soft := limit.Cur; soft < limit.Max {
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return soft, nil // the system has a lower bound of its own
		}
	}
	return limit.Cur, nil
}
