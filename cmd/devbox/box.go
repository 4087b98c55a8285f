package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/klog/v2"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/box"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
)

// boxCommand is the process of an embedded box. `devbox up` starts it, and it
// outlives that.
func (d *devbox) boxCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "box",
		Short:  "Be the process of an embedded box; `devbox up` starts it",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			record, err := engines().Load(d.name)
			if err != nil {
				return classify(codeFailure, err, d.command("up"))
			}
			klog.ClearLogger() // it is logged to a file here
			events, closeEvents := process.Events()
			defer closeEvents()
			log := &lumberjack.Logger{Filename: record.Log(), MaxSize: logMegabytes, MaxBackups: 1}
			defer func() { _ = log.Close() }() // nobody is left to tell
			return classify(codeCluster, box.Serve(cmd.Context(), box.ServeConfig{
				Box: record, Queue: buildQueue, Log: log, Events: events,
				Ready: func() {
					closeEvents()
					settle()
				},
			}), d.command("up"))
		},
	}
}

// idleGC lets the heap grow by a quarter between collections, where Go's
// default is to double it: a box that is up allocates little.
const idleGC = 25

// settled is how long after the start the first answers are out, which a
// collection would delay.
const settled = 5 * time.Second

// settle gives back what starting took, a little later.
func settle() {
	time.AfterFunc(settled, func() {
		debug.SetGCPercent(idleGC)
		debug.FreeOSMemory()
	})
}

// logMegabytes is how large the box's log gets before it is begun anew; one
// older log stays.
const logMegabytes = 10

// boxProcess is the command line of boxCommand.
func (d *devbox) boxProcess() ([]string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return []string{self, "box", "--name", d.name}, nil
}
