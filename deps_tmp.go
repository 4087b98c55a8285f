//go:build deps

// Package deps keeps the module graph whole while the packages that need it are being written.
package deps

import (
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "github.com/google/go-containerregistry/pkg/v1/layout"
	_ "github.com/google/ko/pkg/build"
	_ "github.com/google/ko/pkg/commands/options"
	_ "github.com/spf13/cobra"
	_ "go.etcd.io/etcd/server/v3/embed"
	_ "helm.sh/helm/v3/pkg/action"
	_ "istio.io/client-go/pkg/apis/networking/v1"
	_ "istio.io/istio/manifests"
	_ "k8s.io/api/core/v1"
	_ "k8s.io/client-go/kubernetes"
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/pkg/controller/garbagecollector"
	_ "k8s.io/kubernetes/pkg/controller/namespace"
	_ "sigs.k8s.io/controller-runtime"
	_ "sigs.k8s.io/kind/pkg/cluster"
	_ "sigs.k8s.io/yaml"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/term"
	_ "golang.org/x/crypto/x509roots/fallback/bundle"
	_ "github.com/rogpeppe/go-internal/testscript"
)
