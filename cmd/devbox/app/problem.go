package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/terminal"
)

// The exit codes; exitCodes says what they mean.
const (
	codeOK           = 0
	codeFailure      = 1
	codeUsage        = 2
	codePrerequisite = 3
	codeCluster      = 4
	codeBuild        = 5
	codeRollout      = 6
	codeInterrupted  = 130
)

// exitCodes is the one list of them: help shows it, and a test holds the
// documentation to it.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{codeOK, "done; also when Ctrl-C ends a command that runs until then"},
	{codeFailure, "something else went wrong"},
	{codeUsage, "the command line, a directory or a service.yaml is wrong, and nothing was touched; or the API server refuses it, or another manifest is wrong, and the others were applied"},
	{codePrerequisite, "this machine lacks something, such as Docker, disk space or images; or the cluster of --context does, or the registry, or you the rights there"},
	{codeCluster, "the box did not come up, is not there, or does not answer"},
	{codeBuild, "a service does not compile, or its image cannot be made"},
	{codeRollout, "a revision does not get ready, or an object is refused or not rolled out"},
	{codeInterrupted, "interrupted before it was done"},
}

// problem is an error with what a person needs besides the cause: the class,
// the evidence and the next command.
type problem struct {
	code     int
	cause    error
	evidence []string
	next     string
}

func (p *problem) Error() string { return p.cause.Error() }
func (p *problem) Unwrap() error { return p.cause }

// classify makes err a problem of a class with a next command, unless it is a
// problem already or an error of the box, which knows better.
func classify(code int, err error, next string) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if missing, ok := errors.AsType[*bootstrap.PrerequisiteError](err); ok {
		return prerequisite(missing)
	}
	if failed, ok := errors.AsType[*bootstrap.ClusterError](err); ok {
		return &problem{code: codeCluster, cause: err, next: cmp.Or(failed.Hint, next)}
	}
	if _, ok := errors.AsType[*bootstrap.BusyError](err); ok {
		return &problem{code: codeFailure, cause: err}
	}
	return &problem{code: code, cause: err, next: next}
}

// ofInput puts what is wrong with directories and manifests into its class;
// without the go command nobody can tell.
func ofInput(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return &problem{code: codePrerequisite, cause: err, next: "install Go, or put the go command on the PATH; devbox up --image serves what is built already"}
	}
	return classify(codeUsage, err, "")
}

// prerequisite says one finding as the cause, and several as the evidence.
func prerequisite(e *bootstrap.PrerequisiteError) error {
	p := &problem{code: codePrerequisite, cause: fmt.Errorf("this machine lacks %d things", len(e.Findings))}
	if len(e.Findings) == 1 {
		p.cause, p.next = errors.New(e.Findings[0].Message), e.Findings[0].Hint
		return p
	}
	for _, f := range e.Findings {
		p.evidence = append(p.evidence, f.Message)
		if f.Hint != "" {
			p.evidence = append(p.evidence, "  next: "+f.Hint)
		}
	}
	return p
}

// next is the command that classify has found for err.
func next(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.next
	}
	return ""
}

// exit says what went wrong, if anything did, and returns the exit code.
func exit(ctx context.Context, err error, stderr io.Writer) int {
	if err == nil {
		return codeOK
	}
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{code: codeFailure, cause: err}
	}
	if interrupted(ctx) && p.code != codeInterrupted {
		p = &problem{code: codeInterrupted, cause: errInterrupted}
	}
	begin := "devbox: "
	for line := range strings.Lines(strings.TrimSpace(p.cause.Error())) {
		fmt.Fprintf(stderr, "%s%s\n", begin, terminal.Clean(line))
		begin = "   "
	}
	for _, line := range p.evidence {
		fmt.Fprintf(stderr, "   %s\n", terminal.Clean(line))
	}
	if p.next != "" {
		fmt.Fprintf(stderr, "   next: %s\n", p.next)
	}
	return p.code
}
