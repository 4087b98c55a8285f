package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/settings"
)

// judged are the ConfigMaps that admission and the activator go by.
var judged = []string{config.Autoscaler, config.Defaults, config.Features}

// inForce is what the box's ConfigMaps say, each as it was last right.
type inForce struct {
	domain string // the box's own

	mu       sync.RWMutex
	names    config.Names
	defaults servingv1.Defaults
	pods     config.Pods
	gc       config.Collection
	standby  config.Standby
	said     map[string]map[string]string // of each ConfigMap, when it was taken
}

// newInForce is what a box of a domain has whose ConfigMaps say nothing.
func newInForce(domain string) *inForce {
	pods, notPods := config.ParseDeployment(nil)
	gc, notGC := config.ParseGC(nil)
	standby, notStandby := config.ParseStandby(nil)
	if err := errors.Join(notPods, notGC, notStandby); err != nil {
		panic(err) // constants
	}
	return &inForce{
		domain: domain, names: config.DefaultNames(domain), defaults: servingv1.KnativeDefaults(), pods: pods, gc: gc, standby: standby, said: map[string]map[string]string{},
	}
}

// take takes what a ConfigMap says. Its error names the keys that are wrong, and
// what was taken before stays.
func (f *inForce) take(name string, data map[string]string) error {
	var err error
	set := func() {}
	switch name {
	case config.Domain:
		var d config.Domains
		d, err = config.ParseDomains(data, f.domain)
		set = func() { f.names.Domains = d }
	case config.Network:
		var n config.Networking
		n, err = config.ParseNetwork(data)
		set = func() { f.names.Network = n }
	case config.Defaults:
		var d servingv1.Defaults
		d, err = config.ParseDefaults(data)
		set = func() { f.defaults = d }
	case config.Deployment:
		var p config.Pods
		p, err = config.ParseDeployment(data)
		set = func() { f.pods = p }
	case config.GC:
		var c config.Collection
		c, err = config.ParseGC(data)
		set = func() { f.gc = c }
	case config.Devbox:
		var s config.Standby
		s, err = config.ParseStandby(data)
		set = func() { f.standby = s }
	case config.Features:
		err = config.ParseFeatures(data)
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
	if _, knatives := config.Keys[name]; knatives {
		f.said[name] = data
	}
	return nil
}

// last is what one of Knative's ConfigMaps said when it was taken, and whether
// it ever was.
func (f *inForce) last(name string) (map[string]string, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	data, ok := f.said[name]
	return data, ok
}

// now is a copy of one of f's parts.
func now[T any](f *inForce, part func() T) T {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return part()
}

func (f *inForce) naming() config.Names { return now(f, func() config.Names { return f.names }) }
func (f *inForce) fields() servingv1.Defaults {
	return now(f, func() servingv1.Defaults { return f.defaults })
}
func (f *inForce) podsOfAll() config.Pods { return now(f, func() config.Pods { return f.pods }) }
func (f *inForce) collection() config.Collection {
	return now(f, func() config.Collection { return f.gc })
}

func (f *inForce) standbys() config.Standby {
	return now(f, func() config.Standby { return f.standby })
}

// load takes the ConfigMaps as they are when the controller starts, so that no
// revision is made by the defaults of another box. What is wrong with one is
// told when its watch brings it.
func (f *inForce) load(ctx context.Context, c client.Reader) error {
	var list corev1.ConfigMapList
	if err := c.List(ctx, &list, client.InNamespace(servingv1.Namespace)); err != nil {
		return fmt.Errorf("reading the box's ConfigMaps: %w", err)
	}
	for i := range list.Items {
		if cm := &list.Items[i]; config.Check(cm) == nil {
			_ = f.take(cm.Name, cm.Data)
		}
	}
	return nil
}

// publish writes into devbox-in-force what admission goes by of a ConfigMap that
// has been taken.
func publish(ctx context.Context, c client.Client, cm *corev1.ConfigMap) error {
	if !slices.Contains(judged, cm.Name) {
		return nil
	}
	there, err := setting(ctx, c, settings.InForceConfig)
	if err != nil || there.UID == "" {
		return err // an API server without the chart
	}
	want := map[string]any{}
	for key, value := range cm.Data {
		if !strings.HasPrefix(key, "_") && there.Data[cm.Name+"."+key] != value {
			want[cm.Name+"."+key] = value
		}
	}
	for key := range maps.Keys(there.Data) {
		if name, ours := strings.CutPrefix(key, cm.Name+"."); ours {
			if _, still := cm.Data[name]; !still {
				want[key] = nil
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"data": want})
	if err != nil {
		return fmt.Errorf("encoding what is in force: %w", err)
	}
	if err := c.Patch(ctx, there.DeepCopy(), client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return fmt.Errorf("writing what is in force: %w", err)
	}
	return nil
}
