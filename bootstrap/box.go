package bootstrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// Domain is the domain of a box's services: <service>.<namespace>.<Domain>.
const Domain = "example.com"

// Box is a box as it is saved beside its kubeconfig.
type Box struct {
	Name         string     `json:"name"`
	Engine       string     `json:"engine"`
	Domain       string     `json:"domain"`
	Kubeconfig   string     `json:"kubeconfig"`           // path of the box's own kubeconfig
	HTTPPort     int        `json:"httpPort"`             // of 127.0.0.1: the gateway
	RegistryPort int        `json:"registryPort"`         // of 127.0.0.1 and of localhost: the registry
	APIPort      int        `json:"apiPort"`              // of 127.0.0.1: the Kubernetes API
	MetricsPort  int        `json:"metricsPort,omitzero"` // of 127.0.0.1: the numbers of an embedded box
	Images       images.Set `json:"images,omitzero"`      // of kind, and of what watches the box

	// Observability are the parts that watch the box.
	Observability []images.Role `json:"observability,omitempty"`

	// Mesh says that services' pods are in Istio's mesh, of kind.
	Mesh bool `json:"mesh,omitempty"`

	// Guest is set where devbox did not make the cluster.
	Guest *Guest `json:"guest,omitempty"`

	// Complete says that the box was created to the end. A record without it
	// is of a creation that was cut off.
	Complete bool `json:"complete"`

	Entrance `json:"-"` // the way into it; nil before it was made
}

// NewBox is a box that has its folder and nothing else yet.
func NewBox(name, engine, dir string) *Box {
	return &Box{Name: name, Engine: engine, Domain: Domain, Kubeconfig: filepath.Join(dir, "kubeconfig")}
}

// Command is how to call one of devbox's commands on the box of a name.
func Command(box, words string) string {
	if box == DefaultName {
		return "devbox " + words
	}
	return "devbox " + words + " --name " + box
}

// Gateway is the URL of the box's ingress.
func (b *Box) Gateway() string {
	if b.Guest != nil && b.Guest.Gateway != "" {
		return b.Guest.Gateway
	}
	return fmt.Sprintf("http://127.0.0.1:%d", b.HTTPPort)
}

// Registry is the name of the box's registry in an image reference, on this
// machine and in the cluster.
func (b *Box) Registry() string {
	if b.Guest != nil {
		return b.Guest.Registry
	}
	return fmt.Sprintf("localhost:%d", b.RegistryPort)
}

// Namespace is the only one that the box has in its cluster, "" where it has all.
func (b *Box) Namespace() string {
	if b.Guest == nil {
		return ""
	}
	return b.Guest.Namespace
}

// RESTConfig is how to reach the box's API server.
func (b *Box) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of box %s: %w", b.Name, err)
	}
	if b.Guest == nil {
		config.QPS = -1                  // the box's API server has nobody else to be spared for
		config.DisableCompression = true // it is on this machine
	}
	return config, nil
}

// read returns the record of the box, nil where there is none.
func read(name string) (*Box, error) {
	dir, err := dirOf(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "box.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record of box %s: %w", name, err)
	}
	box := new(Box)
	if err := json.Unmarshal(data, box); err != nil {
		return nil, fmt.Errorf("reading the record of box %s (%s): %w", name, filepath.Join(dir, "box.json"), err)
	}
	return box, nil
}

// Save writes the record.
func (b *Box) Save() error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the record of box %s: %w", b.Name, err)
	}
	return WritePrivate(filepath.Join(b.Dir(), "box.json"), append(data, '\n'))
}

// Dir is the box's folder.
func (b *Box) Dir() string { return filepath.Dir(b.Kubeconfig) }

// Events is the file in which the sessions of the box of that name keep their
// events, whether there is such a box or not.
func Events(name string) (string, error) {
	dir, err := dirOf(name)
	return filepath.Join(dir, "events.jsonl"), err
}

// Root is the folder of all boxes.
func Root() (string, error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's configuration directory: %w", err)
	}
	return filepath.Join(config, "devbox"), nil
}

// maxName leaves room for what kind adds to make the node's hostname.
const maxName = 50

// dirOf is the folder of the box of that name.
func dirOf(name string) (string, error) {
	if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
		return "", fmt.Errorf("box name %q: %s", name, wrong[0])
	}
	if len(name) > maxName {
		return "", fmt.Errorf("box name %q is longer than %d characters", name, maxName)
	}
	dir, err := Root()
	return filepath.Join(dir, name), err
}

// WritePrivate writes a file that its owner alone may read, all of it or
// nothing.
func WritePrivate(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already if all went well
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
