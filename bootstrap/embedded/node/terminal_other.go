//go:build !linux

package node

import (
	"errors"
	"os"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

func openTerminal() (screen, terminal *os.File, err error) {
	return nil, nil, errors.New("a command in a pod of the embedded engine gets a terminal on Linux only; the same without a terminal goes")
}

func resize(*os.File, remotecommand.TerminalSize) error { return errors.ErrUnsupported }
