package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/terminal"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// saysAfter is how long a wait takes before people are told what it waits for:
// most are over by then.
const saysAfter = time.Second

// crashesFor is how long `devbox wait` gives a revision that has crashed to come
// up after all, where nobody says.
const crashesFor = time.Minute

func (d *devbox) waitCommand() *cobra.Command {
	var timeout time.Duration
	cmd := d.reports(&cobra.Command{
		Use:   "wait service",
		Short: "Wait until what was last saved of a service is live",
		Long: `Wait until what was last saved of a service answers, or say why it will not: the
compiler's words, the container's, those of whoever refuses. For scripts, tests
and editors: after it has returned with 0, no answer is older than the save.

Where a ` + "`devbox up`" + ` watches the service it is asked, and looks at all files once more
for it: a save that was made just before counts. Without one it is the Service's
latest revision that is waited for, by whomever it was made.

stdout has the name of the revision. After a second stderr says what is waited
for, and that a revision has crashed at once, with its last lines.

A revision that crashes is started again, and may come up yet. Without --timeout
it has a minute for that; one that does not listen, or does not get ready, its
progress deadline, which is ten minutes unless an annotation says otherwise. With
--timeout all of it may take as long as that, and no longer.

It ends with 5 where the service does not compile, with 2 where a file beside the
source is wrong, and with 6 where the revision does not get ready, takes no
traffic because it is held (` + "`devbox hold --help`" + `), or the time is over.`,
		Example: `  devbox wait hello && go test ./e2e
  devbox wait hello --timeout 20s
  devbox wait shop/hello -o json | jq -r .reason`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return &problem{code: codeUsage, cause: fmt.Errorf("--timeout %s: it is a time from now on", timeout)}
			}
			return d.wait(cmd.Context(), args[0], timeout)
		},
	}, "text or json")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait, whatever happens")
	return cmd
}

// wait waits for a service, and reports how it is with it in the end.
func (d *devbox) wait(ctx context.Context, name string, timeout time.Duration) error {
	w := &waiter{d: d, name: name, timeout: timeout}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.give = func() { cancel(errImpatient) }
	if timeout > 0 {
		defer time.AfterFunc(timeout, w.give).Stop()
	}
	defer time.AfterFunc(saysAfter, w.speak).Stop()
	err := d.askSession(ctx, name, w.hear)
	if errors.Is(err, bootstrap.ErrNoSession) || err == nil && w.last.State == watcher.NotMine {
		err = d.latest(ctx, name, w.hear)
	}
	if errors.Is(context.Cause(ctx), errImpatient) {
		err = nil
	}
	if err != nil {
		return err
	}
	return w.report()
}

// errImpatient is why a wait was ended.
var errImpatient = errors.New("the time is over")

// waiter is what one wait has heard, and for how long it goes on.
type waiter struct {
	d       *devbox
	name    string
	timeout time.Duration
	give    func() // the wait up

	mu       sync.Mutex
	last     watcher.Standing
	said     string
	aloud    bool // it takes long enough to say what is waited for
	crashing *time.Timer
}

// hear takes how it is now.
func (w *waiter) hear(s watcher.Standing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = s
	w.say()
	switch {
	case s.State != watcher.Crashing && w.crashing != nil:
		w.crashing.Stop()
		w.crashing = nil
	case s.State == watcher.Crashing && w.crashing == nil && w.timeout == 0:
		w.crashing = time.AfterFunc(crashesFor, w.give)
	}
}

// speak says from now on what is waited for.
func (w *waiter) speak() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aloud = true
	w.say()
}

// say tells people what is waited for: a crash at once.
func (w *waiter) say() {
	s := w.last
	if s.Known() || s.Reason == "" || s.Reason == w.said || w.d.output == jsonFormat || !w.aloud && s.State != watcher.Crashing {
		return
	}
	w.said = s.Reason
	fmt.Fprintf(w.d.stderr, "   %s\n", terminal.Clean(sentence(s)))
	for _, line := range s.Log {
		fmt.Fprintf(w.d.stderr, "   | %s\n", terminal.Clean(line))
	}
}

// sentence is how it is, of the revision or the service. Where a log follows, the
// first line of the reason will do: the others are in the log.
func sentence(s watcher.Standing) string {
	name, reason := cmp.Or(s.Revision, s.Service), s.Reason
	if len(s.Log) > 0 {
		reason, _, _ = strings.Cut(reason, "\n")
	}
	if s.State == watcher.Crashing {
		return name + " has failed, and is tried again: " + reason
	}
	return name + ": " + reason
}

// report says how it was in the end.
func (w *waiter) report() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.last
	if s.Service == "" { // nobody has answered at all
		s.Service, s.State, s.Reason = w.name, watcher.Underway, "nothing was heard of it"
	}
	if w.d.output == jsonFormat {
		if err := w.d.printJSON(s); err != nil {
			return err
		}
	} else if s.State == watcher.Live {
		fmt.Fprintln(w.d.stdout, s.Revision)
	}
	if s.State == watcher.Live {
		return nil
	}
	return w.problem(s)
}

// problem is that it is not live.
func (w *waiter) problem(s watcher.Standing) error {
	codes := map[watcher.Part]int{watcher.OfBuild: codeBuild, watcher.OfInput: codeUsage, watcher.OfBox: codeCluster}
	p := &problem{code: codeRollout, next: s.Hint}
	if code, ok := codes[s.Part]; ok {
		p.code = code
	}
	switch {
	case s.Part == watcher.OfBuild:
		p.cause = fmt.Errorf("%s does not compile:\n%s", s.Service, s.Reason)
	case s.Known():
		p.cause = fmt.Errorf("%s is not live: %s", w.name, strings.TrimPrefix(sentence(s), s.Service+": "))
	case w.timeout > 0:
		p.cause = fmt.Errorf("%s is not live after %s: %s", w.name, w.timeout, strings.TrimPrefix(sentence(s), s.Service+": "))
	default:
		p.cause = fmt.Errorf("%s is not live %s after its first crash: %s", w.name, crashesFor, sentence(s))
	}
	if s.Reason != w.said { // with its log
		for _, line := range s.Log {
			p.evidence = append(p.evidence, "| "+line)
		}
	}
	if p.next == "" && p.code == codeRollout {
		p.next = w.d.command("logs " + w.name)
	}
	return p
}

// askSession asks the session of the box how it is with a service, until it
// knows.
func (d *devbox) askSession(ctx context.Context, name string, hear func(watcher.Standing)) error {
	conn, err := bootstrap.DialSession(ctx, d.name)
	if err != nil {
		return err
	}
	session := &http.Client{Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}}
	namespace, service := split(name)
	question := url.URL{Scheme: "http", Host: "session", Path: standingPath, RawQuery: url.Values{"namespace": {namespace}, "service": {service}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, question.String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := session.Do(req)
	if err != nil {
		return d.cutShort(err)
	}
	defer resp.Body.Close()
	for lines := json.NewDecoder(resp.Body); ; {
		var s watcher.Standing
		if err := lines.Decode(&s); err != nil {
			return d.cutShort(err)
		}
		if hear(s); s.Known() {
			return nil
		}
	}
}

// cutShort is the problem of a session that ends before it knows.
func (d *devbox) cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("`devbox up` has ended before what was saved was live")
	}
	return &problem{code: codeFailure, cause: err, next: d.command("up")}
}

// latest waits for the latest revision of a service that no session serves.
func (d *devbox) latest(ctx context.Context, name string, hear func(watcher.Standing)) error {
	c, err := d.cluster(ctx)
	if err != nil {
		return err
	}
	s, err := c.oneService(ctx, "wait", name)
	if err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	deployer, err := deploy.New(deploy.Config{REST: c.config, Gateway: c.box.Gateway(), Domain: c.box.Domain, Command: d.command, Guest: guestOf(c.box)})
	if err != nil {
		return classify(codeCluster, err, d.command("status"))
	}
	rollout, err := deployer.Current(ctx, client.ObjectKeyFromObject(s))
	if err != nil {
		return classify(codeCluster, err, d.command("status"))
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel() // what is not watched is waited for in vain
		_ = deployer.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	f := watcher.NewFollower(s.Namespace, s.Name)
	err = deployer.Wait(ctx, rollout, func(r deploy.Report) {
		now := f.Take(r)
		if hear(now); now.Known() {
			cancel()
		}
	})
	if f.Standing().Known() {
		return nil
	}
	return classify(codeRollout, err, d.command("status"))
}

// split is a service's name, and the namespace in front of it, if there is one.
func split(name string) (namespace, service string) {
	namespace, service, qualified := strings.Cut(name, "/")
	if !qualified {
		return "", name
	}
	return namespace, service
}
