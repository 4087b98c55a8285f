package controller

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
)

// activationGrace is how much longer than its deadline a revision that does
// not start keeps its pods, so that its status has said why by then.
const activationGrace = 30 * time.Second

// decider decides how many pods a revision should have.
type decider interface {
	Track(types.NamespacedName, autoscaler.Revision) (want int32, reason string)
	Forget(types.NamespacedName)
}

// scaler asks the autoscaler, in the words of a revision's reconciler.
type scaler struct {
	doorbell // rings when the autoscaler changes its mind
	decider
	config atomic.Pointer[autoscaler.Config]
}

func newScaler() *scaler {
	s := &scaler{}
	config := autoscaler.DefaultConfig()
	s.config.Store(&config)
	return s
}

// scale tells the autoscaler what was seen of rev, and returns what it wants.
func (s *scaler) scale(ctx context.Context, rev *servingv1.Revision, seen observation, to routing, deadline time.Duration) scale {
	concurrency := int64(servingv1.DefaultContainerConcurrency)
	if c := rev.Spec.ContainerConcurrency; c != nil {
		concurrency = *c
	}
	spec, err := s.config.Load().Spec(rev.Annotations, concurrency)
	if err != nil {
		// Admission refuses these. What was right in them counts.
		log.FromContext(ctx).Info("ignoring autoscaling annotations", "error", err.Error())
	}
	spec.ActivationDeadline = deadline + activationGrace
	want, reason := s.Track(client.ObjectKeyFromObject(rev), autoscaler.Revision{
		Spec:      spec,
		Reachable: to.reachable(),
		// A revision that has been ready once still has its resources when
		// its container fails.
		Started: rev.Status.IsTrue(servingv1.RevisionResourcesAvailable),
		Ready:   seen.answering,
		Pods:    int32(len(seen.alive)), //nolint:gosec // a node holds some hundred pods
	})
	initial := max(spec.InitialScale, spec.MinScale)
	if want > 0 {
		initial = min(initial, want) // max-scale bounds it too
	}
	return scale{want, reason, initial}
}

// tune takes the data of config-autoscaler.
func (s *scaler) tune(data map[string]string) error {
	config, err := autoscaler.ParseConfig(data)
	if err == nil {
		s.config.Store(&config)
	}
	return err
}
