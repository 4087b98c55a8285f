// Package layers holds no code: its test reads the import graph and refuses an
// arrow that the design does not have.
package layers
