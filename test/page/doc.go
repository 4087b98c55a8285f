// Package page holds no code: its test, behind the build tag e2e, opens the page
// of `devbox ui` in a real Chromium, on a real box of the embedded engine: at
// rest, under load, with an error of the compiler, and while the box is away.
//
// Chromium is what DEVBOX_CHROMIUM names, or else found on the PATH. Where there
// is none the story is skipped, and in CI it fails. Screenshots go to the
// directory that DEVBOX_SCREENSHOTS names, if any.
//
// DEVBOX_PAGE_OPEN=1h leaves a page open for so long, under load, and fails
// where it or its server grows; `make hour` does.
package page
