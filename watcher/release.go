package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// Release is what the files of a directory say, for another cluster than a box:
// its manifests as they are written, with images by digest.
type Release struct {
	Name      string // of the directory
	Dir       string
	Manifests []byte   // YAML documents, in the order to apply them
	LeftOut   []string // files that are no manifests, and why
}

// Releaser makes the image of a main package, which dir is the place to look from
// for its .ko.yaml, and returns the image's name by digest.
type Releaser interface {
	Release(ctx context.Context, dir, importPath string) (string, error)
}

// Releases are those of targets, in their order. Nothing of the loop is in them:
// no .env, no debugger, no label of devbox's. A mistake in a file is a
// manifest.Problem, or several; else the errors are the Releaser's.
func Releases(ctx context.Context, targets []Target, images Releaser) ([]Release, error) {
	var all []Release
	for _, t := range targets {
		i := slices.IndexFunc(all, func(r Release) bool { return sameDir(r.Dir, t.Dir) })
		if i >= 0 {
			continue
		}
		r, err := releaseOf(ctx, slices.DeleteFunc(slices.Clone(targets), func(o Target) bool { return !sameDir(o.Dir, t.Dir) }), images)
		if err != nil {
			return nil, err
		}
		all = append(all, *r)
	}
	return all, nil
}

// releaseOf is the release of a directory: its objects, and its Service after
// them.
func releaseOf(ctx context.Context, targets []Target, images Releaser) (*Release, error) {
	r := &Release{Name: targets[0].Name, Dir: targets[0].Dir}
	var documents []*yaml.Node
	var services []*yaml.Node
	for _, t := range targets {
		if t.Service != nil {
			service, err := t.serviceDocument()
			if err != nil {
				return nil, err
			}
			services = append(services, service)
			continue
		}
		objects, err := t.objectDocuments(r)
		if err != nil {
			return nil, err
		}
		documents = append(documents, objects...)
	}
	var out bytes.Buffer
	for i, document := range append(documents, services...) {
		err := manifest.Release(document, func(importPath string) (string, error) {
			p, err := findProgram(ctx, r.Dir, importPath)
			if err != nil {
				return "", err
			}
			return images.Release(ctx, buildDir(r.Dir, p), p.ImportPath)
		})
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		encoder := yaml.NewEncoder(&out)
		encoder.SetIndent(2)
		if err := errors.Join(encoder.Encode(document), encoder.Close()); err != nil {
			return nil, fmt.Errorf("writing the manifests of %s: %w", short(r.Dir), err)
		}
	}
	r.Manifests = out.Bytes()
	return r, nil
}

// serviceDocument is the Service as service.yaml has it, or as it is without one,
// with the name of a program wherever one is meant.
func (t Target) serviceDocument() (*yaml.Node, error) {
	named, err := deploy.WithPrograms(t.Service, t.ImportPath)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", short(t.ManifestPath), err)
	}
	document, err := t.writtenService()
	if err != nil {
		return nil, err
	}
	for i, c := range named.Spec.Template.Spec.Containers {
		manifest.SetImage(document, i, c.Image)
	}
	return document, nil
}

// writtenService is the Service's document.
func (t Target) writtenService() (*yaml.Node, error) {
	set, err := manifest.Read(t.Dir)
	if err != nil {
		return nil, err
	}
	for _, o := range set.Objects {
		if o.File == t.ManifestPath && manifest.IsService(&o) {
			return manifest.Document(o.File, o.Document)
		}
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(t.DefaultManifest()), &document); err != nil {
		return nil, fmt.Errorf("the default Service of %s: %w", t.Name, err)
	}
	return &document, nil
}

// objectDocuments are the documents of a directory's objects, each once: a list is
// one of several.
func (t Target) objectDocuments(r *Release) ([]*yaml.Node, error) {
	set, err := t.readObjects()
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, p := range set.Problems {
		p.File = short(p.File)
		wrong = append(wrong, p)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	for _, o := range set.LeftOut {
		r.LeftOut = append(r.LeftOut, fmt.Sprintf("%s: %s", short(o.File), o.Why))
	}
	type place struct {
		file   string
		number int
	}
	seen := map[place]bool{}
	var documents []*yaml.Node
	for _, o := range set.Objects {
		at := place{o.File, o.Document}
		if seen[at] {
			continue
		}
		seen[at] = true
		document, err := manifest.Document(o.File, o.Document)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}
