// Package helm sees to it that a Helm release is what a chart and its values
// say. It is the only importer of the Helm SDK.
//
//	Apply: same fingerprint, all there --> nothing to do
//	       left half-way               --> drop the record, go on as below
//	       no release                  --> install, adopting what is there
//	       otherwise                   --> upgrade
//
// Apply does not wait for what it installs to run: who installed it watches
// what he needs, and Helm looks only every two seconds.
package helm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
)

// fingerprintLabel is the label of a release's record that says which chart
// and values it was made from.
const fingerprintLabel = "dev.devbox.fingerprint"

// Release is a chart with its values under a name in a namespace.
type Release struct {
	Name      string
	Namespace string
	Chart     fs.FS // rooted at the chart's directory
	Values    map[string]any
	Adjust    func(object map[string]any) error // done to every rendered object; may be nil
}

// Client applies releases to one cluster.
type Client struct {
	cluster *getter
}

// New returns a client for the cluster that config reaches.
func New(config *rest.Config) (*Client, error) {
	g, err := newGetter(config)
	if err != nil {
		return nil, fmt.Errorf("preparing to install charts: %w", err)
	}
	return &Client{cluster: g}, nil
}

// Apply makes the release what r says, and says whether anything had to
// change. An interrupted Apply is repaired by the next one.
func (c *Client) Apply(ctx context.Context, r Release) (changed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("applying chart %s: %w", r.Name, err)
		}
	}()
	content, fingerprint, err := read(r)
	if err != nil {
		return false, err
	}
	cfg := new(action.Configuration)
	if err := cfg.Init(c.cluster.in(r.Namespace), r.Namespace, "secret", quiet); err != nil {
		return false, err
	}
	last, err := usable(cfg, r.Name)
	if err != nil {
		return false, err
	}
	labels := map[string]string{fingerprintLabel: fingerprint}
	switch {
	case last == nil:
		return true, install(ctx, cfg, r, content, labels)
	case last.Info.Status == release.StatusDeployed && last.Labels[fingerprintLabel] == fingerprint && allThere(cfg, last):
		return false, nil
	}
	up := action.NewUpgrade(cfg)
	up.Namespace, up.Labels, up.TakeOwnership = r.Namespace, labels, true
	up.DisableOpenAPIValidation = true // the API server validates; fetching its schemas takes seconds
	up.MaxHistory = 2
	up.PostRenderer = adjuster(r.Adjust)
	_, err = up.RunWithContext(ctx, r.Name, content, r.Values)
	return true, err
}

func install(ctx context.Context, cfg *action.Configuration, r Release, content *chart.Chart, labels map[string]string) error {
	in := action.NewInstall(cfg)
	in.ReleaseName, in.Namespace, in.CreateNamespace = r.Name, r.Namespace, true
	in.Labels = labels
	in.TakeOwnership = true // of what an interrupted Apply left
	in.DisableOpenAPIValidation = true
	in.PostRenderer = adjuster(r.Adjust)
	_, err := in.RunWithContext(ctx, content, r.Values)
	return err
}

// Remove takes away a release with all that it made. It is well when there is
// none, and when an earlier Remove was interrupted.
func (c *Client) Remove(_ context.Context, name, namespace string) error {
	cfg := new(action.Configuration)
	if err := cfg.Init(c.cluster.in(namespace), namespace, "secret", quiet); err != nil {
		return fmt.Errorf("removing chart %s: %w", name, err)
	}
	out := action.NewUninstall(cfg)
	out.IgnoreNotFound = true
	if _, err := out.Run(name); err != nil {
		return fmt.Errorf("removing chart %s: %w", name, err)
	}
	return nil
}

// usable returns the last record of a release that is not half-way, nil when
// there is none. Records of work that was interrupted are dropped: what they
// made is adopted by the next install or upgrade.
func usable(cfg *action.Configuration, name string) (*release.Release, error) {
	for {
		last, err := cfg.Releases.Last(name)
		if errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if status := last.Info.Status; !status.IsPending() && status != release.StatusUninstalling {
			return last, nil
		}
		if _, err := cfg.Releases.Delete(name, last.Version); err != nil {
			return nil, fmt.Errorf("dropping the record of interrupted work: %w", err)
		}
	}
}

// allThere says whether the cluster still has every object of a release.
func allThere(cfg *action.Configuration, last *release.Release) bool {
	objects, err := cfg.KubeClient.Build(strings.NewReader(last.Manifest), false)
	if err != nil {
		return false // a kind is no longer served
	}
	return objects.Visit(func(o *resource.Info, err error) error { return errors.Join(err, o.Get()) }) == nil
}

// Render returns what `helm template` would: the release's objects, without
// asking any cluster.
func Render(r Release) (string, error) {
	content, _, err := read(r)
	if err != nil {
		return "", fmt.Errorf("rendering chart %s: %w", r.Name, err)
	}
	in := action.NewInstall(&action.Configuration{Log: quiet})
	in.ReleaseName, in.Namespace = r.Name, r.Namespace
	in.ClientOnly, in.DryRun = true, true
	in.PostRenderer = adjuster(r.Adjust)
	in.KubeVersion = &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}
	rel, err := in.Run(content, r.Values)
	if err != nil {
		return "", fmt.Errorf("rendering chart %s: %w", r.Name, err)
	}
	return rel.Manifest, nil
}

// read loads the chart's files and tells what it and the values add up to.
func read(r Release) (*chart.Chart, string, error) {
	sum := sha256.New()
	var files []*loader.BufferedFile
	err := fs.WalkDir(r.Chart, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(r.Chart, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", path, len(data))
		sum.Write(data)
		files = append(files, &loader.BufferedFile{Name: path, Data: data})
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("reading files: %w", err)
	}
	content, err := loader.LoadFiles(files)
	if err != nil {
		return nil, "", err
	}
	if err := json.NewEncoder(sum).Encode(r.Values); err != nil {
		return nil, "", fmt.Errorf("reading values: %w", err)
	}
	// A label holds at most 63 characters.
	return content, hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// quiet drops the SDK's own diary.
func quiet(string, ...any) {}
