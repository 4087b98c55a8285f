//go:build !linux

package process

import "syscall"

// Attributes are ways to start the box's process.
func Attributes() []*syscall.SysProcAttr { return []*syscall.SysProcAttr{{}} }
