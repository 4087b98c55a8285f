package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/history"
)

func (d *devbox) eventsCommand() *cobra.Command {
	var follow bool
	var since moment
	cmd := d.reports(&cobra.Command{
		Use:   "events",
		Short: "Print what `devbox up` has told, in a second terminal or later",
		Long: `Print the events of the box's sessions as ` + "`devbox up`" + ` has printed them: what was
built, what went live in what time, and the compiler's and the containers' words.
With -f it goes on with those that come, also of sessions that begin later, until
Ctrl-C. The last few megabytes are kept, until the box is removed.`,
		Example: `  devbox events -f
  devbox events --since 10m
  devbox events -o json | jq -r 'select(.kind == "revision.live") | .revision'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := d.load(); err != nil {
				return err
			}
			return d.events(cmd.Context(), follow, since.before(time.Now()))
		},
	}, "text, or json for one event a line")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().Var(&since, "since", "begin at a time, as in 2026-01-31T15:04:05Z, or so long ago, as in 10m")
	return cmd
}

func (d *devbox) events(ctx context.Context, follow bool, since time.Time) error {
	path, err := bootstrap.Events(d.name)
	if err != nil {
		return err
	}
	reader := d.reader()
	defer reader.Close()
	tell := func(e event.Event) {
		if e.Time.Before(since) {
			reader.Hear(e)
		} else {
			reader.Show(e)
		}
	}
	if follow {
		err := history.Follow(ctx, path, tell)
		if interrupted(ctx) {
			return nil
		}
		return err
	}
	events, err := history.Read(path)
	for _, e := range events {
		tell(e)
	}
	return err
}

// recorder keeps the events of this session for others.
func (d *devbox) recorder() (*history.Recorder, error) {
	path, err := bootstrap.Events(d.name)
	if err != nil {
		return nil, classify(codeUsage, err, "")
	}
	return history.Record(path), nil
}

// moment is a flag: a time, or how long ago that is.
type moment struct {
	text string
	ago  time.Duration
	at   time.Time
}

func (m *moment) String() string { return m.text }
func (m *moment) Type() string   { return "time" }

func (m *moment) Set(text string) (err error) {
	*m = moment{text: text}
	if m.ago, err = time.ParseDuration(text); err == nil && m.ago >= 0 {
		return nil
	}
	if m.at, err = time.Parse(time.RFC3339, text); err == nil {
		return nil
	}
	return fmt.Errorf("%q is no time, as in 2026-01-31T15:04:05Z, and no time ago, as in 10m", text)
}

// before is the moment itself; that of a flag not set is the beginning.
func (m *moment) before(now time.Time) time.Time {
	if m.ago > 0 {
		return now.Add(-m.ago)
	}
	return m.at
}
