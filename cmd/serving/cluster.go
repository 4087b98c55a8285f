package main

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

// inCluster is how a pod reaches the API server. What watches it waits 30 to
// 60 seconds once it has failed a few times, each watch for itself, so that
// after an absence of the API server a part of the stack would know some of
// the news and not the rest. Here they fail with the connections that they
// have, wait together for a new one, and are back in the same moment.
func inCluster() (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	config.Dial = patient(dialer.DialContext)
	return config, nil
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// patient dials until somebody accepts the connection.
func patient(once dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		for {
			conn, err := once(ctx, network, address)
			if !errors.Is(err, syscall.ECONNREFUSED) {
				return conn, err
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return nil, err
			}
		}
	}
}
