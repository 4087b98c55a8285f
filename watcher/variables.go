package watcher

import (
	"errors"

	"github.com/kind-in-a-box/devbox/watcher/dotenv"
)

// WithVariables are targets with the variables of the .env in the folder of each
// service. A mistake in one is a *dotenv.Error.
func WithVariables(targets []Target) ([]Target, error) {
	for i := range targets {
		t := &targets[i]
		if t.Service == nil || t.Image != nil { // an image has no folder
			continue
		}
		var err error
		if t.variables, err = t.readVariables(); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// readVariables reads the .env, whose name in an error is as a person would write
// it.
func (t Target) readVariables() (map[string]string, error) {
	variables, err := dotenv.Read(t.Dir)
	if wrong, ok := errors.AsType[*dotenv.Error](err); ok {
		wrong.File = short(wrong.File)
	}
	return variables, err
}
