//go:build e2e

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	few, many = 3, 300 // services, each with two revisions
	oneMore   = 5      // applied on top of each
)

// BenchmarkMany fills a box with services of two revisions each, and looks what one
// more takes, and what the box holds, against a box with three. None of them has a
// pod: they were never asked for anything.
func BenchmarkMany(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	up := bx.Up("--port", "18080", box.Project(b, "hello"))
	up.Wait("the first revision", 5*time.Minute, live)
	up.Interrupt()
	sleeps(b, bx)
	image := bx.Image("hello")
	fill(b, bx, image, 0, few)
	before, first := held(b, bx), applied(b, bx, image, "few")
	began := time.Now()
	fill(b, bx, image, few, many)
	took := time.Since(began)
	after, last := held(b, bx), applied(b, bx, image, "many")

	r := ratio(last, first)
	b.ReportMetric(r, "x/apply")
	b.ReportMetric(float64(after-before)/(1<<20), "MiB/297-services")
	note(b, row{
		what:     fmt.Sprintf("one more Service from its apply to its first answer, in a box of %d services with two revisions each, median of %d", many, oneMore),
		measured: round(last), against: fmt.Sprintf("in one of %d: %s", few, round(first)), ratio: fmt.Sprintf("%.2f", r), goal: "2",
	}, row{
		what:     fmt.Sprintf("memory of the box's process with %d services of two revisions each, none with a pod", many),
		measured: mib(after) + " resident", against: fmt.Sprintf("with %d: %s", few, mib(before)), ratio: fmt.Sprintf("%.2f", float64(after)/float64(before)),
	}, row{
		what:     fmt.Sprintf("making the other %d, with a second revision of each", many-few),
		measured: fmt.Sprintf("%s, %s a revision", round(took), milliseconds(took/(2*(many-few)))),
	})
}

// sleeps has revisions begin without a pod.
func sleeps(b *testing.B, bx *box.Box) {
	b.Helper()
	maps := bx.Kubernetes().CoreV1().ConfigMaps(servingv1.Namespace)
	config, err := maps.Get(b.Context(), "config-autoscaler", metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if config.Data == nil {
		config.Data = map[string]string{}
	}
	config.Data["allow-zero-initial-scale"] = "true"
	if _, err := maps.Update(b.Context(), config, metav1.UpdateOptions{}); err != nil {
		b.Fatal(err)
	}
	api := bx.Serving()
	box.Eventually(b, "a revision may begin without a pod", func() bool {
		return api.Create(b.Context(), sleeper("sleeper", bx.Image("hello")), client.DryRunAll) == nil
	})
}

// fill makes services, a few at a time, and waits until the second revision of
// each is ready.
func fill(b *testing.B, bx *box.Box, image string, from, to int) {
	b.Helper()
	api := bx.Serving()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(8)
	for i := from; i < to; i++ {
		group.Go(func() error { return twice(ctx, api, fmt.Sprintf("service-%03d", i), image) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// twice makes a service of two revisions.
func twice(ctx context.Context, api client.Client, name, image string) error {
	s := sleeper(name, image)
	if err := api.Create(ctx, s); err != nil {
		return err
	}
	if err := ready(ctx, api, s, name+"-00001"); err != nil {
		return err
	}
	before := s.DeepCopy()
	s.Spec.Template.Spec.Containers[0].Env = []servingv1.EnvVar{{Name: "TARGET", Value: name}}
	if err := api.Patch(ctx, s, client.MergeFrom(before)); err != nil {
		return err
	}
	return ready(ctx, api, s, name+"-00002")
}

func sleeper(name, image string) *servingv1.Service {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	s.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/initial-scale": "0"}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: image}}
	return s
}

// ready reads a service until a revision of it is ready.
func ready(ctx context.Context, api client.Client, s *servingv1.Service, revision string) error {
	for {
		if err := api.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		c := s.Status.Condition(servingv1.ConditionReady)
		if s.Status.LatestReadyRevisionName == revision && c != nil && c.Status == corev1.ConditionTrue {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", revision, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// held is the resident memory of the box's process, once it has come to rest.
func held(b *testing.B, bx *box.Box) uint64 {
	b.Helper()
	time.Sleep(30 * time.Second)
	return uint64(box.MemoryOf(b, bx.PID()).Resident)
}

// applied is how long services take from their apply until they answer, one after
// the other.
func applied(b *testing.B, bx *box.Box, image, kind string) time.Duration {
	b.Helper()
	var took []time.Duration
	for i := range oneMore {
		began := time.Now()
		bx.Service(b, fmt.Sprintf("%s-more-%d", kind, i), image, 0, nil)
		took = append(took, time.Since(began))
	}
	return median(took)
}
