package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-logr/logr"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"
	controllerlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/terminal"
)

// devbox is what all commands share.
type devbox struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	name    string // of the box
	output  string // textFormat or jsonFormat
	started bool   // the command line was understood, and a command runs
}

// command is how to call one of our commands on this box.
func (d *devbox) command(words string) string { return bootstrap.Command(d.name, words) }

// execute runs the command that args name.
func (d *devbox) execute(ctx context.Context, args []string) error {
	root := d.root() //nolint:contextcheck // a command has its context from ExecuteContextC
	root.SetArgs(args)
	root.SetIn(d.stdin)
	root.SetOut(d.stdout)
	root.SetErr(d.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if !d.started {
		return classify(codeUsage, err, cmd.CommandPath()+" --help")
	}
	return err
}

// Command is the command line, for whoever documents it.
func Command() *cobra.Command { return (&devbox{}).root() }

func (d *devbox) root() *cobra.Command {
	// Kubernetes' libraries have flags of their own there, which every command
	// would get.
	pflag.CommandLine = pflag.NewFlagSet("", pflag.ContinueOnError)
	root := &cobra.Command{
		Use:   "devbox",
		Short: "Run Knative services from source on one machine, live on every save",
		Long: `devbox starts a Kubernetes cluster on this machine, installs Istio and a small
Knative Serving on it, builds what is in your directories, and serves it.
Every file you save becomes a new revision. Without Docker it does the same
with an API server of its own and with pods as processes.

    devbox up ./examples/hello
    curl -H 'Host: hello.default.example.com' http://127.0.0.1:8080`,
		Args:          cobra.NoArgs, // names an unknown command
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			if wrong := validation.IsDNS1123Label(d.name); len(wrong) > 0 {
				return fmt.Errorf("--name %s: %s", d.name, strings.Join(wrong, "; "))
			}
			d.started = true
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return said(err) })
	root.PersistentFlags().StringVar(&d.name, "name", bootstrap.DefaultName, "name of the box")
	envName(root.PersistentFlags(), "name")
	root.AddCommand(
		d.upCommand(), d.downCommand(), d.statusCommand(), d.urlCommand(), d.logsCommand(), d.eventsCommand(),
		d.releaseCommand(), d.deployCommand(),
		d.servicesCommand(), d.revisionsCommand(), d.describeCommand(), d.trafficCommand(), d.execCommand(),
		d.waitCommand(), d.holdCommand(), d.rollbackCommand(),
		d.traceCommand(), d.loadCommand(), d.compareCommand(), d.benchCommand(), d.uiCommand(),
		d.initCommand(), d.kubeconfigCommand(), d.doctorCommand(), d.imagesCommand(), d.versionCommand(),
		exitCodesTopic(),
	)
	return root
}

// right says, by the type of a flag, what its values are.
var right = map[string]string{
	"duration": "a time with a unit, such as 30s or 5m",
	"int":      "a whole number, such as 10",
	"int64":    "a whole number, such as 10",
	"uint":     "a whole number from 0 on, such as 10",
	"uint64":   "a whole number from 0 on, such as 10",
	"bool":     "true or false",
}

// said is an error of a flag's value that says what is right, instead of which
// function could not read it.
func said(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	flag := wrong.GetFlag()
	if what := right[flag.Value.Type()]; what != "" {
		return fmt.Errorf("--%s %s: it is %s", flag.Name, wrong.GetValue(), what)
	}
	return fmt.Errorf("--%s: %w", flag.Name, wrong.Unwrap())
}

// silenceLibraries keeps the log lines of ko, of Kubernetes' libraries and of
// Docker Compose's off the screen: what they warn of comes back as an error too, and devbox says
// it once.
func silenceLibraries() {
	log.SetOutput(io.Discard)
	klog.SetLogger(logr.Discard())
	controllerlog.SetLogger(logr.Discard())
	logrus.SetOutput(io.Discard)
}

// noArguments refuses arguments where there is nothing they could mean.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// environment is the annotation of a flag that names its variable.
const environment = "devbox_environment"

// envName lets a variable stand in for a flag, and says so in its help.
func envName(flags *pflag.FlagSet, name string) {
	flag := flags.Lookup(name)
	variable := "DEVBOX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	flag.Usage += " (env " + variable + ")"
	flag.Annotations = map[string][]string{environment: {variable}}
}

// alsoVariable lets another tool's variable stand in for a flag too, where ours is
// not set.
func alsoVariable(flags *pflag.FlagSet, name, variable string) {
	flag := flags.Lookup(name)
	flag.Usage += ", or " + variable
	flag.Annotations[environment] = append(flag.Annotations[environment], variable)
}

// fromEnvironment sets the flags that the command line does not from their
// variables; an empty variable is none.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failure error
	flags.VisitAll(func(flag *pflag.Flag) {
		for _, variable := range flag.Annotations[environment] {
			value := os.Getenv(variable)
			if value == "" || flag.Changed || failure != nil {
				continue
			}
			if err := flags.Set(flag.Name, value); err != nil {
				failure = fmt.Errorf("reading %s: %w", variable, said(err))
			}
		}
	})
	return failure
}

// choice is a flag that takes one of some words.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string { return *c.value }
func (c choice) Type() string   { return strings.Join(c.of, "|") }

func (c choice) Set(value string) error {
	if !slices.Contains(c.of, value) {
		return fmt.Errorf("%q is not one of %s", value, strings.Join(c.of, ", "))
	}
	*c.value = value
	return nil
}

// choose gives a command a flag that takes one of some words, with its
// variable and its completion.
func choose(cmd *cobra.Command, c choice, name, letter, help string) {
	cmd.Flags().VarP(c, name, letter, help)
	envName(cmd.Flags(), name)
	complete := cobra.FixedCompletions(c.of, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag was added three lines up
	}
}

// How a command reports: for people, or for programs.
const (
	textFormat = "text"
	jsonFormat = "json"
	yamlFormat = "yaml"
)

// reports gives a command the flag -o.
func (d *devbox) reports(cmd *cobra.Command, help string) *cobra.Command {
	d.output = textFormat
	choose(cmd, choice{&d.output, []string{textFormat, jsonFormat}}, "output", "o", help)
	return cmd
}

// lists gives a command that shows what is in the box the flag -o.
func (d *devbox) lists(cmd *cobra.Command) *cobra.Command {
	d.output = textFormat
	choose(cmd, choice{&d.output, []string{textFormat, jsonFormat, yamlFormat}}, "output", "o", "text, json or yaml")
	return cmd
}

// list prints what such a command has found: as a table for people, which text
// writes, or as it is.
func (d *devbox) list(found any, text func(table *tabwriter.Writer)) error {
	switch d.output {
	case jsonFormat:
		return d.printJSON(found)
	case yamlFormat:
		data, err := yaml.Marshal(found)
		if err != nil {
			return fmt.Errorf("encoding what was found: %w", err)
		}
		_, err = d.stdout.Write(data)
		return err
	}
	table := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	text(table)
	return table.Flush()
}

// printJSON writes what a command reports.
func (d *devbox) printJSON(value any) error {
	enc := json.NewEncoder(d.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// reader returns what shows the event stream: JSON where that is asked for,
// live lines on a terminal, plain lines elsewhere.
func (d *devbox) reader() terminal.Reader {
	if d.output == jsonFormat {
		return terminal.NewJSON(d.stdout)
	}
	return d.progress()
}

// progress returns what shows people how something comes about.
func (d *devbox) progress() terminal.Reader {
	return terminal.For(d.stdout, d.stderr, os.Getenv)
}
