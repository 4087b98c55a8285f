package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// boxOptions are the flags that say what box is wanted.
type boxOptions struct {
	images string
	engine string
	port   port
}

func newBoxOptions() *boxOptions {
	return &boxOptions{engine: "auto", port: bootstrap.DefaultPort}
}

// add gives a command the flags, each with its variable.
func (o *boxOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.images, "images", "", "take the images of a kind box from this OCI layout, with no network")
	choose(cmd, choice{&o.engine, []string{"auto", "kind", "embedded"}}, "engine", "",
		"what runs the box: kind, a cluster in Docker with Istio; embedded, a process here, with pods as processes; auto, kind where Docker answers")
	flags.Var(&o.port, "port", "serve on this port of 127.0.0.1; without it 8080, or the next free one,")
	for _, name := range []string{"images", "port"} {
		envName(flags, name)
	}
}

// config is the box that the flags ask for. A port that was asked for is
// taken or refused; the default is only where to begin.
func (o *boxOptions) config(name string, flags *pflag.FlagSet) bootstrap.Config {
	return bootstrap.Config{
		Name:      name,
		Engine:    o.engine,
		ImagesDir: o.images,
		Port:      int(o.port),
		PortFixed: flags.Changed("port"),
	}
}

// port is a TCP port as a flag.
type port int

func (p *port) String() string { return strconv.Itoa(int(*p)) }
func (p *port) Type() string   { return "port" }

func (p *port) Set(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q is no port from 1 to 65535", value)
	}
	*p = port(n)
	return nil
}
