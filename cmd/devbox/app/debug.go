package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/delve"
)

// debugged are the services to debug, as a flag: names, each with a port where
// that is to be a certain one.
type debugged []debuggee

type debuggee struct {
	service string
	port    int // 0 where any will do
}

func (d debuggee) String() string {
	if d.port == 0 {
		return d.service
	}
	return d.service + "=" + strconv.Itoa(d.port)
}

func (d *debugged) String() string {
	var words []string
	for _, one := range *d {
		words = append(words, one.String())
	}
	return strings.Join(words, ",")
}

func (d *debugged) Type() string { return "service[=port],..." }

func (d *debugged) Set(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		service, number, fixed := strings.Cut(word, "=")
		one := debuggee{service: service}
		if fixed {
			var p port
			if err := p.Set(number); err != nil {
				return err
			}
			one.port = int(p)
		}
		if service == "" {
			return errors.New("it takes the name of a service")
		}
		at := slices.IndexFunc(*d, func(known debuggee) bool { return known.service == service })
		switch {
		case at < 0:
			*d = append(*d, one)
		case fixed:
			(*d)[at] = one
		}
		for _, other := range *d {
			if fixed && other.port == one.port && other.service != service {
				return fmt.Errorf("%s and %s cannot both have port %d", other.service, service, one.port)
			}
		}
	}
	return nil
}

// targets are the targets of the services, in their order.
func (d *debugged) targets(all []watcher.Target) ([]watcher.Target, error) {
	var found []watcher.Target
	for _, one := range *d {
		at := slices.IndexFunc(all, func(t watcher.Target) bool { return t.Service != nil && t.Name == one.service })
		if at < 0 {
			return nil, fmt.Errorf("--debug %s: there is no such service; there is %s", one.service, strings.Join(services(all), ", "))
		}
		if !all[at].Debuggable() {
			return nil, fmt.Errorf("--debug %s: what takes its requests is no program that is built here", one.service)
		}
		found = append(found, all[at])
	}
	return found, nil
}

// services are the names of the services among targets.
func services(targets []watcher.Target) []string {
	var names []string
	for _, t := range targets {
		if t.Service != nil {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return []string{"none"}
	}
	return names
}

// debugging makes ready what is debugged, before anything is touched: the
// debugger, and a port for each service.
func (d *devbox) debugging(ctx context.Context, wanted debugged, targets []watcher.Target, events event.Sink) (watcher.Debug, error) {
	if len(wanted) == 0 {
		return watcher.Debug{}, nil
	}
	all, err := wanted.targets(targets)
	if err != nil {
		return watcher.Debug{}, ofInput(err)
	}
	debug := watcher.Debug{Listeners: map[string]net.Listener{}}
	for i, t := range all {
		if debug.Listeners[t.Key()], err = listen(wanted[i]); err != nil {
			closeAll(debug.Listeners)
			return watcher.Debug{}, err
		}
	}
	err = bootstrap.RunAll(ctx, d.name, events, []bootstrap.Step{{Name: "delve", Do: func(ctx context.Context, say func(string)) (string, error) {
		program, err := getDelve(ctx, say)
		debug.Delve = program
		return "the debugger is there", err
	}}})
	if err != nil {
		closeAll(debug.Listeners)
		return watcher.Debug{}, classify(codePrerequisite, d.cut(ctx, err), "")
	}
	return debug, nil
}

func listen(one debuggee) (net.Listener, error) {
	if one.port == 0 {
		l, err := delve.Listen(delve.FirstPort, true)
		return l, classify(codePrerequisite, err, "")
	}
	l, err := delve.Listen(one.port, false)
	return l, classify(codePrerequisite, err, "end the program that has it, or take another: --debug "+one.service+"=PORT")
}

func closeAll(listeners map[string]net.Listener) {
	for _, l := range listeners {
		if l != nil {
			_ = l.Close() // nobody has come
		}
	}
}

// getDelve is the file of the debugger, which is compiled where it was not
// before. What is in its way this machine lacks.
func getDelve(ctx context.Context, say func(string)) (string, error) {
	program, err := compile.Delve()
	if err != nil {
		return "", err
	}
	path, err := program.Get(ctx, say)
	switch {
	case err == nil || ctx.Err() != nil:
		return path, err
	case errors.Is(err, exec.ErrNotFound):
		return "", withoutGo(err)
	}
	lacks := bootstrap.Finding{
		Name: "delve", Level: bootstrap.Fail, Message: "Delve, the debugger, is not to be had: " + err.Error(),
		Hint: "without --debug the service runs as ever",
	}
	if errors.Is(err, compile.ErrNotFetched) {
		lacks.Hint = "it is made of Go modules, which are fetched once, from where GOPROXY says; " + lacks.Hint
	}
	return "", &bootstrap.PrerequisiteError{Findings: []bootstrap.Finding{lacks}}
}
