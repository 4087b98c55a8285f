// Package apiserver runs a real Kubernetes API server inside this process:
// etcd and kube-apiserver as libraries, and the two controllers without which
// deleting would not work.
//
//	kubectl, client-go --TLS, token--> kube-apiserver --unix socket--> etcd
//	                                        ^                           |
//	     namespace deletion, garbage -------+            Options.Dir <--+
//
// It listens on loopback only, and its state lives in a directory of the
// caller's. The embedded engine is built on it, and so are the tests of
// everything that talks to Kubernetes. There is no scheduler, no kubelet and
// none of the workload controllers: Pods are written down and nobody runs
// them.
//
// Much of Kubernetes is left out here, to start fast and to stay small: see
// cuts.go for what, and what it gained.
package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"
)

// Options say where a Server keeps its state and how.
type Options struct {
	// Dir is the Server's own directory: certificates, token, kubeconfig and
	// etcd's data. It is made when missing. Two Servers cannot share it.
	Dir string
	// Sockets is a directory for etcd's socket, private and with a short path.
	// "" makes one, which a Server that is killed leaves behind.
	Sockets string
	// Port is the port on 127.0.0.1; 0 takes a free one.
	Port int
	// NoSync leaves writing to the operating system, so that a crash of the
	// machine loses state. It is for tests.
	NoSync bool
	// NoOpenAPI does not publish the schemas of all kinds, which takes half
	// the time of a start. They are checked all the same; kubectl explain and
	// Helm cannot do without, client-go can.
	NoOpenAPI bool
	// Cluster makes it as a cluster's: users have the rights that RBAC gives them,
	// and there are the kinds of workloads, which nobody runs. It is for tests.
	Cluster bool
	// Log takes what etcd and Kubernetes log; nil discards it. The log of
	// Kubernetes' libraries belongs to the process: the last Server started
	// has it.
	Log io.Writer
}

// Server is a running API server.
type Server struct {
	config     *rest.Config
	kubeconfig string
	kubelet    *tls.Config
	done       chan struct{}
	err        error // valid after done
}

// Start runs an API server until ctx ends and returns when it is ready.
// Wait returns when all of it has stopped.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("finding the API server's directory: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the API server's directory: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	// What is started is stopped in the opposite order, after ctx has ended:
	// here when the start fails, else when the Server stops.
	var started stack
	defer func() {
		if err != nil {
			cancel()
			err = errors.Join(err, started.stop())
		}
	}()

	unlock, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	started.push(unlock)
	listener, err := listen(o.Port)
	if err != nil {
		return nil, err
	}
	started.push(func() error { _ = listener.Close(); return nil }) // closed already, unless the start fails
	creds, err := loadCredentials(o.Dir, listener.Addr().String())
	if err != nil {
		return nil, err
	}
	etcd, err := startEtcd(ctx, o)
	if err != nil {
		return nil, err
	}
	started.push(etcd.stop)
	serving, err := serve(ctx, o, etcd.endpoint, listener, creds)
	if err != nil {
		return nil, err
	}
	started.push(serving.wait)
	config := creds.restConfig()
	if err := serving.ready(ctx, config); err != nil {
		return nil, err
	}
	if err := establish(ctx, config); err != nil {
		return nil, err
	}
	controllers, err := startControllers(ctx, config)
	if err != nil {
		return nil, err
	}
	started.push(controllers.wait)

	s := &Server{config: config, kubeconfig: creds.kubeconfig, kubelet: creds.kubelet.serving, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer cancel()
		select {
		case <-ctx.Done():
		case <-serving.done: // it does not end by itself unless it fails
			cancel()
		}
		s.err = started.stop()
	}()
	return s, nil
}

// RESTConfig is how an administrator talks to the Server.
func (s *Server) RESTConfig() *rest.Config { return rest.CopyConfig(s.config) }

// Kubeconfig is the path of a file that says the same to kubectl.
func (s *Server) Kubeconfig() string { return s.kubeconfig }

// Wait returns when the Server has stopped and all it started is gone. Its
// error says why it stopped, if not by Start's ctx.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Done is closed when the Server has stopped.
func (s *Server) Done() <-chan struct{} { return s.done }

// stack is what has been started, to be stopped last first.
type stack struct {
	mu    sync.Mutex
	stops []func() error
}

func (s *stack) push(stop func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, stop)
}

func (s *stack) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for len(s.stops) > 0 {
		last := len(s.stops) - 1
		errs = append(errs, s.stops[last]())
		s.stops = s.stops[:last]
	}
	return errors.Join(errs...)
}
