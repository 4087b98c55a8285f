package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// boxOptions are the flags that say what box is wanted.
type boxOptions struct {
	images string
	engine string
	port   port

	with, without words
	mesh          bool

	guest bootstrap.Guest // of a cluster that is there already
}

func newBoxOptions() *boxOptions {
	extras := []string{bootstrap.Observability}
	return &boxOptions{engine: bootstrap.Auto, port: bootstrap.DefaultPort, with: words{of: extras}, without: words{of: extras}}
}

// add gives a command the flags, each with its variable.
func (o *boxOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.images, "images", "", "take the images of a kind box, and of what watches any box, from this OCI layout, with no network")
	choose(cmd, choice{&o.engine, engines().Names()}, "engine", "",
		"what runs the box: kind, a cluster in Docker with Istio; embedded, a process here, with pods as processes; context, a cluster that is there already; auto, kind where Docker answers and its images can be had, else embedded")
	flags.Var(&o.port, "port", "serve on this port of 127.0.0.1; without it 8080, or the next free one,")
	flags.Var(&o.with, "with", "what the box is to have besides: observability, which is Prometheus, Zipkin and Grafana")
	flags.Var(&o.without, "without", "what the box is to have no longer: observability")
	flags.BoolVar(&o.mesh, "mesh", false, "give services' pods Istio's sidecars, with mutual TLS on all of a request's way; --mesh=false takes them away")
	flags.StringVar(&o.guest.Context, "context", "", "the cluster that is there already, by a context of your kubeconfig; it is --engine context")
	flags.StringVar(&o.guest.Registry, "registry", "", "push images to this HOST/PATH with your own credentials; that cluster's nodes take them from there; without it what KO_DOCKER_REPO says")
	flags.StringVar(&o.guest.Namespace, "namespace", "", "the namespace of that cluster to deploy to; without it the context's, or default")
	flags.StringVar(&o.guest.User, "user", "", "add -NAME to the names of services there, where several people share a namespace")
	flags.StringVar(&o.guest.Given, "gateway", "", "where that cluster's requests come in, as http://HOST:PORT, or as NAMESPACE/NAME of the gateway's Service; without it the one that is found, by its load balancer or a port-forward")
	flags.StringSliceVar(&o.guest.Platforms, "platform", nil, "build for these, such as linux/amd64,linux/arm64; without it for all that the cluster's nodes have")
	flags.BoolVar(&o.guest.Install, "install", false, "where that cluster has no Knative Serving, put devbox's own there, and Istio where there is none; a down removes them again when nobody uses them")
	flags.StringVar(&o.guest.PullSecret, "pull-secret", "", "the Secret there with which nodes take the images, where the registry asks for one")
	for _, name := range []string{"images", "port", "with", "without", "mesh", "context"} {
		envName(flags, name)
	}
	for _, name := range []string{"with", "without"} {
		complete := cobra.FixedCompletions(o.with.of, cobra.ShellCompDirectiveNoFileComp)
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // the flag was added above
		}
	}
}

// guestFlags are those of a cluster that is there already.
var guestFlags = []string{"context", "registry", "namespace", "user", "gateway", "platform", "pull-secret", "install"}

// check refuses flags that contradict each other.
func (o *boxOptions) check(name string, flags *pflag.FlagSet) error {
	if err := o.checkGuest(name, flags); err != nil {
		return err
	}
	for _, word := range o.with.are {
		if slices.Contains(o.without.are, word) {
			return fmt.Errorf("--with %s and --without %s contradict each other", word, word)
		}
	}
	return nil
}

// checkGuest refuses what is said of a cluster that is there already where
// another box is meant. Whoever names a context means its engine.
func (o *boxOptions) checkGuest(name string, flags *pflag.FlagSet) error {
	at := slices.IndexFunc(guestFlags, flags.Changed)
	if at < 0 || o.engine == guestEngine() {
		return nil
	}
	if o.engine != bootstrap.Auto {
		return fmt.Errorf("--%s is for a cluster that is there already, --engine %s, and not for --engine %s", guestFlags[at], guestEngine(), o.engine)
	}
	if flags.Changed("context") {
		o.engine = guestEngine()
		return nil
	}
	if box, err := engines().Load(name); err != nil || box.Guest == nil {
		return fmt.Errorf("--%s is for a cluster that is there already: name it with --context", guestFlags[at])
	}
	return nil
}

// config is the box that the flags ask for. A port that was asked for is
// taken or refused; the default is only where to begin.
func (o *boxOptions) config(name string, flags *pflag.FlagSet) bootstrap.Config {
	var mesh *bool
	if flags.Changed("mesh") {
		mesh = &o.mesh
	}
	return bootstrap.Config{
		Guest:     o.guest,
		Mesh:      mesh,
		Name:      name,
		Engine:    o.engine,
		ImagesDir: o.images,
		Port:      int(o.port),
		PortFixed: flags.Changed("port"),
		With:      o.with.are,
		Without:   o.without.are,
	}
}

// words is a flag that takes some of the words that it knows, with commas
// between them or one at a time.
type words struct{ are, of []string }

func (w *words) String() string { return strings.Join(w.are, ",") }
func (w *words) Type() string   { return strings.Join(w.of, "|") }

func (w *words) Set(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		if !slices.Contains(w.of, word) {
			return fmt.Errorf("%q is not one of %s", word, strings.Join(w.of, ", "))
		}
		if !slices.Contains(w.are, word) {
			w.are = append(w.are, word)
		}
	}
	return nil
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
