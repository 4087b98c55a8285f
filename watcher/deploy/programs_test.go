package deploy

import (
	"strings"
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestPrograms: each ko:// string of a Service is a program, and what is left
// to the folder's own gets that.
func TestPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		init, images []string
		programs     string
		got          string // the images at last, or the error
	}{
		"the only one":        {nil, []string{"example.com/old:v1"}, "ex.com/app", "@app"},
		"left to us":          {nil, []string{"envoy:v1", ""}, "ex.com/app", "envoy:v1 @app"},
		"named as a path":     {nil, []string{"envoy:v1", "ko://./cmd/app"}, "ex.com/app", "envoy:v1 @app"},
		"named":               {nil, []string{"envoy:v1", "ko://ex.com/app"}, "ex.com/app", "envoy:v1 @app"},
		"two programs":        {nil, []string{"ko://ex.com/app", "ko://ex.com/side"}, "ex.com/app ex.com/side", "@app @side"},
		"one without a name":  {nil, []string{"", "ko://ex.com/side"}, "ex.com/app ex.com/side", "@app @side"},
		"the same twice":      {nil, []string{"ko://ex.com/app", "ko://ex.com/app"}, "ex.com/app", "@app @app"},
		"an init container":   {[]string{"ko://ex.com/side", "busybox"}, []string{"ko://ex.com/app"}, "ex.com/side ex.com/app", "@side busybox @app"},
		"ours only to begin":  {[]string{"ko://ex.com/app"}, []string{"nginx"}, "ex.com/app", "@app nginx"},
		"another's alone":     {nil, []string{"ko://ex.org/other"}, "ex.org/other", "app: there is no image of ko://ex.org/other"},
		"several, none of ko": {nil, []string{"a", "b"}, "", "choosing the container of app: of several containers none has the image ko://ex.com/app"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &servingv1.Service{}
			s.Name = "app"
			for _, i := range c.init {
				s.Spec.Template.Spec.InitContainers = append(s.Spec.Template.Spec.InitContainers, servingv1.Container{Image: i})
			}
			for _, i := range c.images {
				s.Spec.Template.Spec.Containers = append(s.Spec.Template.Spec.Containers, servingv1.Container{Image: i})
			}
			programs, _ := Programs(s, "ex.com/app")
			if got := strings.Join(programs, " "); got != c.programs {
				t.Errorf("programs %q, want %q", got, c.programs)
			}
			var got []string
			with, err := withImages(s, "ex.com/app", map[string]string{"ex.com/app": "@app", "ex.com/side": "@side"})
			if err != nil {
				got = append(got, err.Error())
			} else {
				for _, one := range described(&with.Spec.Template.Spec.PodSpec) {
					got = append(got, one.Image)
				}
			}
			if got := strings.Join(got, " "); got != c.got {
				t.Errorf("images %q, want %q", got, c.got)
			}
		})
	}
}
