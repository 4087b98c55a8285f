package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// consume does all of the order at once and says, a line each, what came of
// it. It stops early when ctx ends, because then nobody waits for the answer.
func (o order) consume(ctx context.Context) []string {
	var (
		wg                    sync.WaitGroup
		bloated, found, slept string
	)
	memory := bloat(o.bloat)
	if o.bloat > 0 {
		bloated = fmt.Sprintf("Allocated %d MB of memory.", o.bloat)
	}
	if o.prime > 0 {
		wg.Go(func() { found = searched(o.prime, largestPrime(ctx, o.prime)) })
	}
	if o.sleep > 0 {
		wg.Go(func() {
			slept = fmt.Sprintf("Slept for %.2f milliseconds.", sleep(ctx, o.sleep).Seconds()*1000)
		})
	}
	wg.Wait()
	runtime.KeepAlive(memory)

	var lines []string
	for _, line := range []string{bloated, found, slept} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// sleep waits for some milliseconds, or until ctx ends, and says how long.
func sleep(ctx context.Context, milliseconds int) time.Duration {
	start := time.Now()
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	case <-ctx.Done():
	}
	return time.Since(start)
}

// bloat returns some megabytes, each page of them written to: the kernel
// gives no memory for a page that was never touched.
func bloat(megabytes int) []byte {
	const page = 4096
	memory := make([]byte, megabytes<<20)
	for i := 0; i < len(memory); i += page {
		memory[i] = 1
	}
	return memory
}

// searched puts the end of a search for primes into words.
func searched(limit, prime int) string {
	if prime == 0 {
		return fmt.Sprintf("There is no prime up to %d.", limit)
	}
	return fmt.Sprintf("The largest prime up to %d is %d.", limit, prime)
}

// largestPrime sieves the numbers up to limit and returns the largest prime
// among them, or 0 where there is none or ctx ended first.
func largestPrime(ctx context.Context, limit int) int {
	composite := make([]bool, limit+1)
	for n := 2; n*n <= limit; n++ {
		if ctx.Err() != nil {
			return 0
		}
		if composite[n] {
			continue
		}
		for multiple := n * n; multiple <= limit; multiple += n {
			composite[multiple] = true
		}
	}
	for n := limit; n >= 2; n-- {
		if !composite[n] {
			return n
		}
	}
	return 0
}
