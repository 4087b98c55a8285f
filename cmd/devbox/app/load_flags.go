package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kind-in-a-box/devbox/internal/load"
)

// loadFlags are what a load is asked to be.
type loadFlags struct {
	rate           load.Rate
	duration       time.Duration
	method, path   string
	header         headerFlag
	body           string // or @file
	targets        string // a file
	maxWorkers     uint64
	maxConnections int
	timeout        time.Duration
	keepAlive      bool
	http2          bool
	results, plot  string // files
	compare        []string
	host           string
}

const (
	mostWorkers     = 10_000    // of a load with a rate, where no flag says
	unboundWorkers  = 32        // of one without
	mostRequests    = 5_000_000 // whose samples are kept; then a load ends
	patience        = 5 * time.Second
	givesUp         = 3 * time.Second
	defaultDuration = 30 * time.Second
)

func (f *loadFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.rate, f.header = load.Rate{Freq: 50, Per: time.Second}, headerFlag{}
	flags.Var(rateFlag{&f.rate}, "rate", "requests in a time, begun evenly; 0 is as many as --max-workers carry")
	flags.DurationVar(&f.duration, "duration", defaultDuration, "how long requests begin; 0 is until Ctrl-C")
	flags.StringVarP(&f.method, "method", "X", "", "of each request (default GET, or POST with a body)")
	flags.StringVar(&f.path, "path", "/", "and query of each request")
	flags.VarP(f.header, "header", "H", "of each request, as 'Name: value'; may be repeated")
	flags.StringVarP(&f.body, "body", "d", "", "of each request: text, or @file")
	flags.StringVar(&f.targets, "targets", "", "a file of targets as vegeta has them, taken in turn")
	flags.Uint64Var(&f.maxWorkers, "max-workers", 0, "requests in flight at most (default 10000, with --rate 0 32)")
	flags.IntVar(&f.maxConnections, "max-connections", 0, "connections at most; 0 is one for each request in flight")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "of each request; 0 is none")
	flags.BoolVar(&f.keepAlive, "keepalive", true, "use connections more than once")
	flags.BoolVar(&f.http2, "http2", false, "speak HTTP/2, without TLS and without asking first")
	flags.StringVar(&f.results, "results", "", "keep each result in this file, in vegeta's encoding")
	flags.StringVar(&f.plot, "plot", "", "draw latency and pods over time into this file of HTML")
	flags.StringVar(&f.host, "host", "", "send to what has this host of the box, instead of naming a service")
	flags.StringSliceVar(&f.compare, "compare", nil, "send to two revisions in turn, and say whether they differ")
	curlNames(flags)
	for _, name := range []string{"rate", "duration"} {
		envName(flags, name)
	}
}

// curlNames lets the flags of a request have their names in curl too.
func curlNames(flags *pflag.FlagSet) {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "request":
			name = "method"
		case "data":
			name = "body"
		}
		return pflag.NormalizedName(name)
	})
}

// check refuses flags that mean nothing, alone or together.
func (f *loadFlags) check() error {
	for _, is := range []struct {
		wrong bool
		what  string
	}{
		{f.duration < 0, "--duration is a time, or 0 for until Ctrl-C"},
		{f.timeout < 0, "--timeout is a time, or 0 for none"},
		{f.maxConnections < 0, "--max-connections is a number, or 0 for one for each request in flight"},
		{f.maxWorkers > 1_000_000, "--max-workers is more than a million"},
		{f.targets != "" && (f.path != "/" || f.method != ""), "--targets names methods and paths; --method and --path have no place beside it"},
		{f.results != "" && f.results == f.plot, "--results and --plot are the same file"},
		{f.http2 && !f.keepAlive, "--http2 keeps its connections; --keepalive=false has no place beside it"},
		{f.compare != nil && (len(f.compare) != 2 || f.compare[0] == f.compare[1]), "--compare takes two revisions, as one,other"},
	} {
		if is.wrong {
			return &problem{code: codeUsage, cause: errors.New(is.what)}
		}
	}
	return nil
}

// plan is the load, without its targets.
func (f *loadFlags) plan(gateway string) (load.Plan, error) {
	p := load.Plan{
		Gateway: gateway, Rate: f.rate, Duration: f.duration, MaxRequests: mostRequests,
		MaxWorkers: f.maxWorkers, MaxConnections: f.maxConnections, Timeout: f.timeout,
		NoKeepAlive: !f.keepAlive, HTTP2: f.http2, Patience: patience, GiveUp: givesUp,
	}
	free, err := load.FreeSockets()
	if err != nil {
		return p, err
	}
	if free == 0 {
		return p, &problem{code: codePrerequisite, cause: errors.New("this process may open no file more, and a request needs a socket"), next: "ulimit -n 1024"}
	}
	if p.MaxWorkers == 0 {
		p.MaxWorkers = mostWorkers
		if p.Rate.Unbound() {
			p.MaxWorkers = unboundWorkers
		}
		if p.Sockets() > free {
			p.MaxWorkers = free
		}
	}
	if needs := p.Sockets(); needs > free {
		return p, &problem{
			code:  codePrerequisite,
			cause: fmt.Errorf("%d requests in flight need a socket each, and this process may open %d files more", needs, free),
			next:  fmt.Sprintf("ulimit -n %d, --max-workers %d, or --http2", needs+1024, free),
		}
	}
	return p, nil
}

// aim makes the targets of a load on a site.
func (f *loadFlags) aim(site load.Site) ([]load.Target, error) {
	body, err := bodyOf(f.body)
	if err != nil {
		return nil, err
	}
	if f.targets == "" {
		method := f.method
		switch {
		case method == "" && len(body) > 0:
			method = http.MethodPost
		case method == "":
			method = http.MethodGet
		}
		if !strings.HasPrefix(f.path, "/") {
			return nil, fmt.Errorf("--path %s: a path begins with /; the host is the service's", f.path)
		}
		t, err := site.Aim(load.Target{Method: method, URL: f.path, Header: http.Header(f.header), Body: body})
		return []load.Target{t}, err
	}
	file, err := os.ReadFile(f.targets)
	if err != nil {
		return nil, fmt.Errorf("reading the targets: %w", err)
	}
	return site.ReadTargets(f.targets, bytes.NewReader(file), http.Header(f.header), body)
}

// bodyOf is the body that a flag says: its text, or what is in @file.
func bodyOf(text string) ([]byte, error) {
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return []byte(text), nil
	}
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return body, nil
}

// rateFlag is a rate as a flag.
type rateFlag struct{ *load.Rate }

func (r rateFlag) Type() string { return "rate" }

func (r rateFlag) Set(text string) (err error) {
	*r.Rate, err = load.ParseRate(text)
	return err
}

// headerFlag is headers as a flag that may be repeated.
type headerFlag http.Header

func (h headerFlag) String() string { return "" }
func (h headerFlag) Type() string   { return "header" }

func (h headerFlag) Set(text string) error {
	name, value, err := load.ParseHeader(text)
	if err == nil {
		h[name] = append(h[name], value) // as it was written, as vegeta does
	}
	return err
}
