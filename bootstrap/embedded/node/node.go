package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// Config says which node this is and what it works with.
type Config struct {
	// Name is the Node's.
	Name string
	// REST is how to talk to the API server, which must outlive Run.
	REST *rest.Config
	// Runner runs the containers.
	Runner *runner.Runner
	// Dir is the node's own directory, for volumes and logs; it is made when
	// missing.
	Dir string
	// TLS is what the endpoint for logs is served with. It says who may ask:
	// the API server alone.
	TLS *tls.Config
	// Port is the endpoint's on 127.0.0.1; 0 takes a free one.
	Port int
	// Log takes what the node cannot tell a pod; nil discards it.
	Log *slog.Logger
	// Network gives each pod a network of its own; nil: pods share the
	// machine's.
	Network *network.Network
	// Entrance is the port of 127.0.0.1 that the box takes requests at; 0: none.
	Entrance int
	// OneAddress has all pods share 127.0.0.1, each with ports of its own, as
	// on machines that have no other loopback address.
	OneAddress bool
	// Metrics, if not nil, is given the node's numbers.
	Metrics *proxy.Exposition
	// Ready, if not nil, is called once, when the node takes pods.
	Ready func()
}

// goodbye is how long the processes of all pods have to end, and the API
// server to hear of it, when the node itself ends.
const goodbye = 2 * time.Second

// Run registers the Node and runs the pods that are bound to it until ctx
// ends. No process of a pod is left when it returns; the pods themselves stay,
// and the next Run of a node with this name runs them again.
func Run(ctx context.Context, c Config) error {
	n, err := newNode(c)
	if err != nil {
		return err
	}
	endpoint, err := n.listen()
	if err != nil {
		return err
	}
	if c.Metrics != nil {
		c.Metrics.Add(n.writeMetrics)
	}
	var running sync.WaitGroup
	running.Go(endpoint.serve)
	defer running.Wait()
	defer endpoint.close()
	stopEvents := n.startEvents(ctx)
	defer stopEvents()

	if err := n.register(ctx, endpoint.port); err != nil {
		return ignoreEnd(ctx, err)
	}
	running.Go(func() { n.keepRegistered(ctx, endpoint.port) })
	err = n.runPods(ctx, c.Ready)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return errors.Join(ignoreEnd(ctx, err), n.leave(last, endpoint.port))
}

// ignoreEnd drops the error of a node that was told to end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// node is what all pods of a Node share.
type node struct {
	name      string
	dir       string
	client    kubernetes.Interface
	runner    *runner.Runner
	tls       *tls.Config
	port      int
	log       *slog.Logger
	events    events
	machine   machine
	addresses *addresses
	network   *network.Network
	entrance  int
	prober    prober
	numbers   numbers
	commands  atomic.Int64 // that were run in containers

	mu      sync.Mutex
	pods    map[types.UID]*pod
	running sync.WaitGroup // of pods and bindings
}

func newNode(c Config) (*node, error) {
	if c.Name == "" || c.REST == nil || c.Runner == nil || c.TLS == nil {
		return nil, errors.New("starting a node: Name, REST, Runner and TLS are needed")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the node's directory: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, podsDir), 0o755); err != nil {
		return nil, fmt.Errorf("making the node's directory: %w", err)
	}
	config := rest.AddUserAgent(c.REST, "node")
	config.QPS = -1 // the API server has limits of its own
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if c.Network != nil && (c.OneAddress || hasOneAddress()) {
		return nil, errors.New("starting a node: pods with networks of their own need loopback addresses of their own")
	}
	m, err := thisMachine(dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the machine: %w", err)
	}
	return &node{
		name:      c.Name,
		dir:       dir,
		client:    client,
		runner:    c.Runner,
		tls:       c.TLS,
		port:      c.Port,
		log:       cmp.Or(c.Log, slog.New(slog.DiscardHandler)),
		machine:   m,
		addresses: newAddresses(c.OneAddress || hasOneAddress()),
		network:   c.Network,
		entrance:  c.Entrance,
		prober:    newProber(c.Network),
		pods:      map[types.UID]*pod{},
	}, nil
}

// podsDir is where the pods' own directories are, in the node's.
const podsDir = "pods"

// podDir is where the files of a pod are.
func (n *node) podDir(uid types.UID) string { return filepath.Join(n.dir, podsDir, string(uid)) }

// find returns the pod called so that has not ended, nil if there is none.
func (n *node) find(namespace, name string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if p.object.Namespace == namespace && p.object.Name == name {
			return p
		}
	}
	return nil
}
