package watcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// defined is how long the API server may take to serve a kind after its
// definition is there.
const defined = 10 * time.Second

// certain is how long the files must have said that something is gone before
// it is: whoever saves a file in two steps has it cut short in between.
const certain = 500 * time.Millisecond

// placing brings the objects of a directory into the box. It is a copy of
// what the loop knew when it began, and runs beside it.
//
//	push --> each object, in order: resolve, locate, place --> remove what left
//
// Objects of no directory are all checked before the first is placed.
type placing struct {
	deployer *deploy.Deployer
	registry push.Registry
	workDir  string
	engine   string
	owned    func() ([]owned, error) // what is in the box of any directory

	dir     string
	name    string
	objects []manifest.Object
	whole   bool        // what is not among them is not in the files
	still   func() bool // the files say the same as when this began
	sweep   bool        // look for what earlier sessions left
	built   map[string]v1.Image
	images  map[string]string       // in the registry, by program
	known   map[manifest.Key]string // sums of what was placed
	kinds   map[manifest.Key]schema.GroupVersionKind
	groups  map[string]bool // API groups that objects define kinds of

	tell    func(any)
	applied func() // all were applied
}

// What a placing tells the loop.
type (
	programPushed struct {
		importPath, image, way string
		err                    error
	}
	allPushed    struct{ at time.Time }
	objectPlaced struct {
		object manifest.Object
		key    manifest.Key
		sum    string
		placed *deploy.Placed
		err    error
	}
	objectRemoved struct {
		key manifest.Key
		err error
	}
	// objectsKept is of those that have left the files and stay, since they may
	// be in what cannot be read.
	objectsKept struct{ keys []manifest.Key }
	// objectReplacing is of one that is about to be applied anew.
	objectReplacing struct{ key manifest.Key }
	// objectForgotten is of one that left the files before it ever came to be.
	objectForgotten struct{ key manifest.Key }
)

// owned is an object in the box that devbox made of a directory.
type owned struct {
	owner string // the directory's
	key   manifest.Key
	kind  schema.GroupVersionKind
}

func (p *placing) run(ctx context.Context) (swept bool) {
	p.push(ctx)
	if p.dir == "" && p.mistaken(ctx) {
		p.applied()
		return false
	}
	wanted, sure := map[manifest.Key]bool{}, p.whole
	for _, o := range p.objects {
		key, err := p.put(ctx, o)
		wanted[key] = true
		sure = sure && err == nil
	}
	p.applied()
	if !p.whole {
		if kept := manifest.Gone(p.kinds, wanted); len(kept) > 0 {
			p.tell(objectsKept{kept})
		}
	}
	if !sure || ctx.Err() != nil {
		return false
	}
	return p.prune(ctx, wanted)
}

// mistaken says whether an object is wrong in itself, and tells of each that is.
// Whoever writes manifests by a session mends one after the other; of what is
// applied once, all is to be right before any is.
func (p *placing) mistaken(ctx context.Context) (found bool) {
	for _, o := range p.objects {
		if err := p.check(ctx, o); err != nil {
			found = true
			p.tell(objectPlaced{object: o, key: manifest.KeyOf(o.Unstructured), err: p.at(o, err)})
		}
	}
	return found
}

// check says what is wrong with an object. Of a kind that another object defines
// nobody can tell yet.
func (p *placing) check(ctx context.Context, o manifest.Object) error {
	u := o.DeepCopy()
	err := p.deployer.Locate(u)
	if unknown, ok := errors.AsType[*deploy.UnknownKindError](err); ok {
		if p.groups[u.GroupVersionKind().Group] {
			return nil
		}
		return p.lacks(unknown)
	}
	if err != nil {
		return err
	}
	return p.deployer.Check(ctx, u)
}

// push brings the new images into the registry.
func (p *placing) push(ctx context.Context) {
	p.images = maps.Clone(p.images)
	for importPath, image := range p.built {
		ref, err := p.registry.Image(ctx, p.name+"/"+path.Base(importPath), build.Variants(image)...)
		if err == nil {
			p.images[importPath] = ref
		}
		p.tell(programPushed{importPath, ref, build.Way(image), err})
	}
	p.tell(allPushed{time.Now()})
}

// put places one object, unless it is in the box as it is. The error says
// that its key is not known.
func (p *placing) put(ctx context.Context, o manifest.Object) (manifest.Key, error) {
	o, missing := o.Resolve(p.images)
	if err := p.locate(ctx, o); err != nil {
		key := manifest.KeyOf(o.Unstructured)
		unknown, ok := errors.AsType[*deploy.UnknownKindError](err)
		if ok {
			err = p.lacks(unknown)
		}
		p.tell(objectPlaced{object: o, key: key, err: p.at(o, err)})
		if ok {
			return key, nil // nothing in the box is of this kind
		}
		return key, err
	}
	key := manifest.KeyOf(o.Unstructured)
	if len(missing) > 0 {
		return key, nil // it waits for a build that has been told to have failed
	}
	sum := sumOf(o)
	if p.known[key] == sum {
		return key, nil
	}
	p.tell(objectReplacing{key})
	placed, err := p.deployer.Place(ctx, p.dir, o.Unstructured)
	if err == nil && key.Kind == "CustomResourceDefinition" {
		err = p.establish(ctx, placed)
	}
	p.tell(objectPlaced{object: o, key: key, sum: sum, placed: placed, err: p.at(o, err)})
	return key, nil
}

// locate asks for an object's kind, also for one that was just defined.
func (p *placing) locate(ctx context.Context, o manifest.Object) error {
	until := time.Now().Add(defined)
	for {
		err := p.deployer.Locate(o.Unstructured)
		_, unknown := errors.AsType[*deploy.UnknownKindError](err)
		if !unknown || !p.groups[o.GroupVersionKind().Group] || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(defined / 100):
		}
	}
}

// establish waits until objects of a new kind are taken.
func (p *placing) establish(ctx context.Context, placed *deploy.Placed) error {
	ctx, cancel := context.WithTimeoutCause(ctx, defined, errors.New("the API server does not serve the new kind"))
	defer cancel()
	return p.deployer.Follow(ctx, placed, func(deploy.Report) {})
}

// prune removes what devbox placed and the files do not have any more.
func (p *placing) prune(ctx context.Context, wanted map[manifest.Key]bool) (swept bool) {
	there := maps.Clone(p.kinds)
	if p.sweep {
		all, err := p.owned()
		for _, o := range all {
			if o.owner == deploy.Owner(p.dir) {
				there[o.key] = o.kind
			}
		}
		swept = err == nil
	}
	gone := manifest.Gone(there, wanted)
	if len(gone) > 0 && !p.lasts(ctx) {
		return false
	}
	for _, key := range gone {
		if there[key].Empty() { // refused from the first
			p.tell(objectForgotten{key})
			continue
		}
		err := p.deployer.Remove(ctx, p.dir, there[key], client.ObjectKey{Namespace: key.Namespace, Name: key.Name})
		p.tell(objectRemoved{key, err})
	}
	return swept
}

// lasts says whether the files have not changed a while later.
func (p *placing) lasts(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(certain):
		return p.still()
	}
}

// at puts an object and where it is written in front of what is wrong with it.
func (p *placing) at(o manifest.Object, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s:%d: %s: %w", relative(p.workDir, o.File), o.Line, o.Title(), err)
}

// lacks says whose lack an unknown kind is.
func (p *placing) lacks(unknown *deploy.UnknownKindError) error {
	if p.engine == "embedded" {
		return &LackError{unknown.Kind}
	}
	return fmt.Errorf("%w, on the %s engine: apply its CustomResourceDefinition first, or mend the apiVersion", unknown, p.engine)
}

// sweep is all that earlier sessions made in the box of manifests, for which
// every kind is looked through: once, for all directories.
type sweep struct {
	once sync.Once
	all  []owned
	err  error
}

func (s *sweep) find(ctx context.Context, d *deploy.Deployer) ([]owned, error) {
	s.once.Do(func() {
		var found []metav1.PartialObjectMetadata
		found, s.err = d.Owned(ctx)
		for _, o := range found {
			kind := o.GroupVersionKind()
			s.all = append(s.all, owned{
				owner: o.Labels[deploy.OwnerLabel], kind: kind,
				key: manifest.Key{Group: kind.Group, Kind: kind.Kind, Namespace: o.Namespace, Name: o.Name},
			})
		}
	})
	return s.all, s.err
}
