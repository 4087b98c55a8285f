package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/serving/controller"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/serving/stream/account"
)

func controllerCommand(log logger) *cobra.Command {
	var c controller.Config
	var address, activators string
	var mirrors []string
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Make Services into Pods, and decide how many",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Mirrors, err = parseMirrors(mirrors); err != nil {
				return err
			}
			c.Standby.Registry = registryOf(c.Standby.Program, c.Mirrors)
			c.Log = log()
			return runController(cmd.Context(), c, address, activators)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.QueueImage, "queue-image", "", "image of queue-proxy")
	flags.StringVar(&c.Domain, "domain", "example.com", "last part of every public host")
	flags.StringVar(&c.Gateway, "gateway", "", "URL of the ingress gateway inside the cluster; none means no ingress")
	flags.StringArrayVar(&mirrors, "registry", nil, "HOST=URL: where the registry that images call HOST is found from here")
	flags.DurationVar(&c.ProgressDeadline, "progress-deadline", 10*time.Minute, "how long a revision's first pod may take to answer")
	flags.DurationVar(&c.DrainQuietPeriod, "drain-quiet-period", time.Second, "how long a pod that is to end must have been idle")
	flags.StringVar(&c.Standby.URL, "standby-url", "", "where pods that stand by find /standby of the health address; none means that none do")
	flags.StringVar(&c.Standby.Program, "standby-program", "", "image of queue-proxy in a registry that --registry names")
	flags.StringVar(&address, "stream-address", fmt.Sprintf(":%d", stream.Port), "where activators tell what they count")
	flags.StringVar(&activators, "stream-account", "", "NAMESPACE/NAME: the service account of activators; none means that anybody may tell")
	flags.StringVar(&c.HealthAddress, "health-address", ":8081", "where /healthz, /readyz and /metrics are served")
	if err := cmd.MarkFlagRequired("queue-image"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// runController runs the reconcilers and the stream they listen to; either
// ends with the other.
func runController(ctx context.Context, c controller.Config, address, activators string) error {
	cluster, err := inCluster()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	guards, err := guard(cluster, activators)
	if err != nil {
		return err
	}
	ctrl, err := controller.New(cluster, c)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("opening the stream's address: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ctrl.Run(ctx) })
	group.Go(func() error { return stream.Serve(ctx, listener, ctrl, guards...) })
	return group.Wait()
}

// guard lets in the streams of one service account, where one is named.
func guard(cluster *rest.Config, who string) ([]stream.Guard, error) {
	if who == "" {
		return nil, nil
	}
	namespace, name, ok := strings.Cut(who, "/")
	if !ok || namespace == "" || name == "" {
		return nil, fmt.Errorf("--stream-account %q: want NAMESPACE/NAME", who)
	}
	scheme := runtime.NewScheme()
	if err := authenticationv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("knowing the kinds of a token's review: %w", err)
	}
	c, err := client.New(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return []stream.Guard{account.Only(c, namespace, name, stream.Audience)}, nil
}

// registryOf is where the registry of an image is found.
func registryOf(image string, mirrors map[string]*url.URL) string {
	host, _, _ := strings.Cut(image, "/")
	if at, ok := mirrors[host]; ok {
		return at.String()
	}
	return "http://" + host
}

// parseMirrors reads HOST=URL pairs.
func parseMirrors(pairs []string) (map[string]*url.URL, error) {
	mirrors := map[string]*url.URL{}
	for _, pair := range pairs {
		host, at, ok := strings.Cut(pair, "=")
		if !ok || host == "" {
			return nil, fmt.Errorf("--registry %q: want HOST=URL", pair)
		}
		u, err := url.Parse(at)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("--registry %q: %q is not the URL of a registry", pair, at)
		}
		mirrors[host] = u
	}
	return mirrors, nil
}
