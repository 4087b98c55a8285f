package context

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// errAsked is why nobody's cluster is taken for a box unasked.
var errAsked = errors.New("a cluster that is there already is taken only by --engine context")

// access is the way to a cluster: what the user's kubeconfig says of one
// context, and nothing else of it.
type access struct {
	file      []byte // a kubeconfig
	rest      *rest.Config
	namespace string // that the context is in; "" where it does not say
}

// UnknownContextError says that the kubeconfig has no such context.
type UnknownContextError struct {
	Name string // "" where none was named
	Have []string
}

func (e *UnknownContextError) Error() string {
	said := fmt.Sprintf("your kubeconfig has no context %q", e.Name)
	if e.Name == "" {
		said = "no context is named"
	}
	if len(e.Have) == 0 {
		return said + ", nor any other"
	}
	return said + ": it has " + strings.Join(e.Have, ", ")
}

// find reads the context of a name from the kubeconfig that kubectl reads.
func find(name string) (*access, error) {
	all, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return nil, fmt.Errorf("reading your kubeconfig: %w", err)
	}
	if all.Contexts[name] == nil {
		return nil, &UnknownContextError{Name: name, Have: slices.Sorted(maps.Keys(all.Contexts))}
	}
	all.CurrentContext = name
	if err := clientcmdapi.MinifyConfig(all); err != nil {
		return nil, fmt.Errorf("reading context %s of your kubeconfig: %w", name, err)
	}
	if err := clientcmdapi.FlattenConfig(all); err != nil {
		return nil, fmt.Errorf("reading context %s of your kubeconfig: %w", name, err)
	}
	a := &access{namespace: all.Contexts[name].Namespace}
	if a.file, err = clientcmd.Write(*all); err != nil {
		return nil, fmt.Errorf("writing context %s of your kubeconfig: %w", name, err)
	}
	if a.rest, err = clientcmd.NewDefaultClientConfig(*all, nil).ClientConfig(); err != nil {
		return nil, fmt.Errorf("reading context %s of your kubeconfig: %w", name, err)
	}
	a.rest.QPS, a.rest.Burst = 50, 100 // the questions of one look, and no more, may come at once
	return a, nil
}
