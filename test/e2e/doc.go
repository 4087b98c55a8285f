// Package e2e holds no code: its tests, behind the build tag e2e, live one
// day with a real box, from nothing to nothing, on the engine that
// DEVBOX_ENGINE names or else on kind. Those named TestKill and TestGrowth
// look at processes, so they are on the embedded engine whatever it names.
// All fail, and never skip, where the box cannot be had.
package e2e
