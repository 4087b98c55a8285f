// Command devbox runs Knative services from source on one machine. This is
// the whole program, and all of it is in cmd/devbox/app.
package main

import (
	"context"
	"os"

	"github.com/kind-in-a-box/devbox/cmd/devbox/app"
)

func main() {
	os.Exit(app.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
