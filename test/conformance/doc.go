// Package conformance holds a box against what a user of Knative Serving knows
// of it: by the public API and the gateway alone, one test for each behaviour,
// all of them at once on one box. The behaviours are a table, from which
// docs/conformance.md is written too; where an engine cannot do as Knative
// does, the table has what it shows instead, and the test asserts that.
//
//	behaviours --> TestConformance: devbox up, then one trial each
//	           `-> docs/conformance.md, by `go test ./test/conformance -update`
package conformance
