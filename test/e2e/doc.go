// Package e2e holds no code: its tests, behind the build tag e2e, live one
// day with a real box, from nothing to nothing. They fail, and never skip,
// where the box cannot be had; `make e2e` runs them.
package e2e
