// Package chaos holds no code: its tests, behind the build tag e2e, break a
// real box and look at it as its clients do.
//
//	load, at a fixed rate ──> gateway ──> activator ──> pods of test/subject
//	                                          ^           ^
//	                   killed, halted, gone: any part of the box
//
// Each story says what of it a client may see, and holds every single answer
// against that. One box serves them all, on the engine that DEVBOX_ENGINE
// names; stories of parts that only kind has run there alone.
//
//	go test -tags e2e -v ./test/chaos
package chaos
