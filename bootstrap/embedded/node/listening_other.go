//go:build !linux

package node

// listening returns nothing: only Linux tells which process listens where.
func listening(int) []int { return nil }
