// Package runtest runs the activator against a real API server. It is a
// package of its own because the API server, built with the race detector,
// takes longer than all other tests of the activator together; those need
// only the objects.
package runtest
