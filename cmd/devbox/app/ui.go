package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/page"
	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const (
	pagePort  = 8090
	pagePorts = 100 // are tried, where none is asked for
)

func (d *devbox) uiCommand() *cobra.Command {
	asked := port(pagePort)
	open := false
	cmd := d.reports(&cobra.Command{
		Use:   "ui",
		Short: "Serve a page about the box, live, until Ctrl-C",
		Long: `Serve one page about the box on 127.0.0.1, until Ctrl-C: services and revisions,
edits and where their time went, requests, pods and why the autoscaler wants them,
cold starts, the panels of Grafana's dashboards, and logs. It sends a request and
draws its way, splits traffic, rolls back, and holds a revision.

The page is for whoever has the address that is printed, with the token in it. It
has the rights of your kubeconfig and needs nothing from the network. It stays when
the box goes away, and goes on when the box is back.`,
		Example: `  devbox ui
  devbox ui --open
  devbox ui --port 9000`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := d.load(); err != nil {
				return err
			}
			l, err := pageListener(int(asked), cmd.Flags().Changed("port"))
			if err != nil {
				return &problem{code: codeFailure, cause: err, next: "choose another with --port"}
			}
			return d.ui(cmd.Context(), l, open)
		},
	}, "text or json")
	cmd.Flags().Var(&asked, "port", "the page's port on 127.0.0.1: this one and no other; without it the next free one")
	cmd.Flags().BoolVar(&open, "open", false, "open it in your browser")
	return cmd
}

// ui serves the page until the person ends it.
func (d *devbox) ui(ctx context.Context, l net.Listener, open bool) error {
	events, err := bootstrap.Events(d.name)
	if err != nil {
		return err
	}
	comparison, err := comparisonFile(d.name)
	if err != nil {
		return err
	}
	token := rand.Text()
	url := fmt.Sprintf("http://%s/#token=%s", page.Names(l.Addr().(*net.TCPAddr).Port)[0], token)
	if err := d.printPage(url); err != nil {
		return err
	}
	if open {
		if err := openBrowser(ctx, url); err != nil {
			fmt.Fprintf(d.stderr, "   no browser was opened: %v\n", err)
		}
	}
	err = page.New(page.Config{Find: d.pageBox, Events: events, Comparison: comparison, Token: token}).Serve(ctx, l)
	if interrupted(ctx) {
		return nil
	}
	return err
}

func (d *devbox) printPage(url string) error {
	if d.output == jsonFormat {
		return d.printJSON(map[string]string{"url": url})
	}
	fmt.Fprintln(d.stdout, url)
	fmt.Fprintf(d.stderr, "   open it in a browser; Ctrl-C ends it\n")
	return nil
}

// pageBox finds the box as it is now.
func (d *devbox) pageBox() (page.Box, error) {
	box, err := engines().Load(d.name)
	if errors.Is(err, bootstrap.ErrNoBox) {
		return page.Box{}, fmt.Errorf("there is no box %s; `%s` makes one", d.name, d.command("up"))
	}
	if err != nil {
		return page.Box{}, err
	}
	kubeconfig, err := os.ReadFile(box.Kubeconfig)
	if err != nil {
		return page.Box{}, fmt.Errorf("reading the kubeconfig of box %s: %w", d.name, err)
	}
	rest, err := box.RESTConfig()
	if err != nil {
		return page.Box{}, err
	}
	port, err := strconv.Atoi(portOf(box.Gateway()))
	if err != nil {
		return page.Box{}, fmt.Errorf("reading the gateway's port: %w", err)
	}
	return page.Box{
		Name: box.Name, Engine: box.Engine, Gateway: box.Gateway(), Domain: box.Domain, HTTPPort: port, Namespace: box.Namespace(),
		REST: rest, Metrics: box.Metrics, Networks: func(c client.Client, service *servingv1.Service) func(context.Context) map[string]way.Network {
			return networks(box, c, service)
		},
		Identity: fmt.Sprintf("%d %s", box.HTTPPort, kubeconfig),
	}, nil
}

// pageListener listens on the port. Where no other will do, a taken one is an
// error.
func pageListener(port int, fixed bool) (net.Listener, error) {
	for try := port; ; try++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(try)))
		switch {
		case err == nil:
			return l, nil
		case errors.Is(err, syscall.EADDRINUSE) && fixed:
			return nil, fmt.Errorf("127.0.0.1:%d is taken", port)
		case errors.Is(err, syscall.EADDRINUSE) && try-port < pagePorts && try < 65535:
			continue
		}
		return nil, fmt.Errorf("listening for the page: %w", err)
	}
}

// openBrowser asks the desktop to open url. Whatever comes of it is for the
// desktop to say.
func openBrowser(ctx context.Context, url string) error {
	program := map[string]string{"darwin": "open", "windows": "explorer"}[runtime.GOOS]
	if program == "" {
		program = "xdg-open"
	}
	out, err := exec.CommandContext(ctx, program, url).CombinedOutput()
	if err != nil {
		return errors.New(strings.TrimSpace(fmt.Sprintf("%v %s", err, out)))
	}
	return nil
}
