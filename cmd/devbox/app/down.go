package app

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
)

func (d *devbox) downCommand() *cobra.Command {
	return d.reports(&cobra.Command{
		Use:   "down",
		Short: "Remove the box, leaving nothing",
		Long: `Remove the box: its container, network, volumes and files, and its entry in your
kubeconfig. In a cluster that was there before, it is what has the box's label that
is removed, and nothing else. Where there is no box, there is nothing to do.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reader := d.reader()
			defer reader.Close()
			return d.down(cmd.Context(), reader.Show)
		},
	}, "text, or json for one event a line")
}

// down removes the box and, also where that failed, what was merged.
func (d *devbox) down(ctx context.Context, events event.Sink) error {
	end, err := bootstrap.Session(d.name)
	busy, watched := errors.AsType[*bootstrap.BusyError](err)
	if watched {
		events.Emit(event.Event{Kind: event.Note, Message: busy.Error() + ": that ends with it"})
	} else if err == nil {
		end() // which removes the file that a killed devbox may have left
	}
	err = engines().Down(ctx, d.name, events)
	if watched && err == nil {
		d.awaitSession(ctx, events)
	}
	files, _ := userKubeconfigs()
	for _, file := range files {
		removed, failure := unmergeKubeconfig(file, contextName(d.name))
		if removed {
			events.Emit(event.Event{Kind: event.Note, Message: "removed context " + contextName(d.name) + " from " + file})
		}
		err = errors.Join(err, failure)
	}
	return classify(codeCluster, err, d.command("down"))
}

// lastWords is how long a session may take to end when its box is gone.
const lastWords = 10 * time.Second

// awaitSession waits for the end of the session that watched the box, so that
// the next `devbox up` meets none.
func (d *devbox) awaitSession(ctx context.Context, events event.Sink) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	err := bootstrap.Poll(ctx, 50*time.Millisecond, func(context.Context) error {
		end, err := bootstrap.Session(d.name)
		if err == nil {
			end()
		}
		return err
	})
	if err != nil {
		events.Emit(event.Event{Kind: event.Note, Message: "that has not ended yet"})
	}
}
