package manifest

import (
	"slices"
	"strings"
)

// scheme begins the name of an image that ko is to build.
const scheme = "ko://"

// podSpecs is where each kind keeps the description of its pods.
var podSpecs = map[string][]string{
	"/Pod":                        {"spec"},
	"apps/Deployment":             {"spec", "template", "spec"},
	"apps/StatefulSet":            {"spec", "template", "spec"},
	"apps/DaemonSet":              {"spec", "template", "spec"},
	"apps/ReplicaSet":             {"spec", "template", "spec"},
	"batch/Job":                   {"spec", "template", "spec"},
	"batch/CronJob":               {"spec", "jobTemplate", "spec", "template", "spec"},
	"serving.knative.dev/Service": {"spec", "template", "spec"},
}

// Programs are the import paths that the images of an object's containers
// name, each once, in order.
func (o Object) Programs() []string {
	var programs []string
	for _, c := range o.containers() {
		image, _ := c["image"].(string)
		if program, ok := strings.CutPrefix(image, scheme); ok && !slices.Contains(programs, program) {
			programs = append(programs, program)
		}
	}
	return programs
}

// Resolve is the object with an image for each program, by import path. missing
// are the programs that have none.
func (o Object) Resolve(images map[string]string) (resolved Object, missing []string) {
	resolved = o
	resolved.Unstructured = o.DeepCopy()
	for _, c := range resolved.containers() {
		image, _ := c["image"].(string)
		program, ok := strings.CutPrefix(image, scheme)
		switch {
		case !ok:
		case images[program] != "":
			c["image"] = images[program]
		case !slices.Contains(missing, program):
			missing = append(missing, program)
		}
	}
	return resolved, missing
}

// containers are all containers of the object's pods, those that run first
// before those that run on.
func (o Object) containers() []map[string]any {
	path, ok := podSpecs[o.GroupVersionKind().Group+"/"+o.GetKind()]
	if !ok {
		return nil
	}
	at := o.Object
	for _, step := range path {
		if at, ok = at[step].(map[string]any); !ok {
			return nil
		}
	}
	var all []map[string]any
	for _, list := range []string{"initContainers", "containers"} {
		items, _ := at[list].([]any)
		for _, item := range items {
			if c, ok := item.(map[string]any); ok {
				all = append(all, c)
			}
		}
	}
	return all
}
