// Command server is the API server of package bed in a process of its own, so
// that no test binary has to link it, or compile it with the race detector.
//
//	bed --stdin, stdout--> server DIR [cluster]
//
// It prints the path of its kubeconfig when it is ready, and stops when its
// standard input ends: so it never outlives the tests, however they end.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/apiserver"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cluster := slices.Contains(os.Args[2:], "cluster")
	server, err := apiserver.Start(ctx, apiserver.Options{Dir: os.Args[1], NoSync: true, NoOpenAPI: !cluster, Cluster: cluster})
	if err != nil {
		return err
	}
	fmt.Println(server.Kubeconfig())
	_, err = io.Copy(io.Discard, os.Stdin)
	stop()
	if failure := server.Wait(); failure != nil {
		return failure
	}
	return err
}
