// Package loopbench measures the loop from a save to the first answer of the
// new revision, on the user's own service, in turns with `go build` of such an
// edit, so that both meet the same machine:
//
//	go build           ─┐
//	go build -s -w      ├─ a turn, as often as is asked for
//	save ──> live      ─┘
//
// What is saved is a file of its own in the package that is to be edited, which
// goes when the measuring ends; the go command sees its edits as an overlay, of
// which the loop knows nothing. What the loop makes is a Service of its own, so
// that nothing else in the box changes.
package loopbench
