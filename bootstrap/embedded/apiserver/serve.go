package apiserver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/controlplane/reconcilers"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"
)

// serviceRange is where cluster IPs come from. Nothing routes to them.
const serviceRange = "10.96.0.0/16"

// serving is a running kube-apiserver.
type serving struct {
	done chan struct{}
	err  error // valid after done
}

// farewell is how long an API server that ends waits for requests in flight,
// and for watches, which it ends.
const farewell = 2 * time.Second

// serve runs kube-apiserver on listener until ctx ends.
func serve(ctx context.Context, o Options, etcd string, listener net.Listener, creds *credentials) (*serving, error) {
	if err := logTo(o.Log); err != nil {
		return nil, err
	}
	completed, err := configure(o, etcd, listener, creds).Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("completing the API server's options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("validating the API server's options: %w", errors.Join(errs...))
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	cutConfig(config, o)
	nameVersion(config)
	chain, err := config.Complete()
	if err != nil {
		return nil, fmt.Errorf("configuring the API server: %w", err)
	}
	aggregator, err := app.CreateServerChain(chain)
	if err != nil {
		return nil, fmt.Errorf("assembling the API server: %w", err)
	}
	aggregator.GenericAPIServer.ShutdownTimeout = farewell
	prepared, err := aggregator.PrepareRun()
	if err != nil {
		return nil, fmt.Errorf("preparing the API server: %w", err)
	}
	s := &serving{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := prepared.Run(ctx); err != nil {
			s.err = fmt.Errorf("running the API server: %w", err)
		}
	}()
	return s, nil
}

// configure is the command line of this kube-apiserver.
func configure(o Options, etcd string, listener net.Listener, creds *credentials) *options.ServerRunOptions {
	s := options.NewServerRunOptions()
	address, _ := listener.Addr().(*net.TCPAddr)

	s.SecureServing.Listener = listener
	s.SecureServing.BindAddress = address.IP
	s.SecureServing.BindPort = address.Port
	s.SecureServing.ServerCert.CertKey.CertFile = creds.cert
	s.SecureServing.ServerCert.CertKey.KeyFile = creds.key
	s.GenericServerRunOptions.AdvertiseAddress = address.IP
	s.EndpointReconcilerType = string(reconcilers.NoneEndpointReconcilerType)
	s.ServiceClusterIPRanges = serviceRange
	s.Etcd.StorageConfig.Transport.ServerList = []string{etcd}

	// Whoever can read the token is the administrator; nobody else gets in.
	s.Authentication = kubeoptions.NewBuiltInAuthenticationOptions().
		WithTokenFile().WithServiceAccounts().WithClientCert().WithRequestHeader()
	s.Authentication.TokenFile.TokenFile = creds.tokens
	s.Authentication.ServiceAccounts.Issuers = []string{"https://kubernetes.default.svc"}
	s.Authentication.ServiceAccounts.KeyFiles = []string{creds.signingKey}
	s.ServiceAccountSigningKeyFile = creds.signingKey
	s.Authorization.Modes = []string{"AlwaysAllow"}
	if o.Cluster {
		s.Authorization.Modes = []string{"RBAC"}
	}
	creds.kubelet.configure(&s.KubeletConfig)

	// Watches last as long as their clients want, which is longer than anybody
	// who removes a box waits.
	s.GenericServerRunOptions.ShutdownWatchTerminationGracePeriod = farewell

	s.AllowPrivileged = true // whoever runs the pods says what he cannot do

	cut(s, o)
	return s
}

// logTo sends the log of Kubernetes' libraries to w and nowhere else. They
// write a line to the outputs of its own severity and of all below, so one
// output is enough.
func logTo(w io.Writer) error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("setting Kubernetes' log: %w", err)
		}
	}
	klog.SetOutput(io.Discard)
	klog.SetOutputBySeverity("INFO", w)
	return nil
}

// ready returns when the API server says that it is.
func (s *serving) ready(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var code int
		answer := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code)
		if code == http.StatusOK {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("waiting for the API server: it stopped: %w", s.err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server: %w (its last words: %w)", context.Cause(ctx), answer.Error())
		case <-poll.C:
		}
	}
}

func (s *serving) wait() error {
	<-s.done
	return s.err
}
