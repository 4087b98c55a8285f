// Package bench holds no code: its benchmarks, behind the build tag e2e,
// measure a real box against a reference in the same run, because a figure
// without one says more of the machine than of devbox. `make bench` runs them
// and writes docs/measurements.md.
package bench
