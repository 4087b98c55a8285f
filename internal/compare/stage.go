package compare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const (
	lookEvery  = 250 * time.Millisecond
	readyLimit = 2 * time.Minute // for a variant to answer
	zeroLimit  = 2 * time.Minute // to be at zero
	goneLimit  = 2 * time.Minute // for the namespace to be gone
)

// stage is what is in the cluster.
type stage struct {
	client  client.Client
	program program
	gateway string
}

// ErrTaken says that the namespace is there and was not made by this package.
var ErrTaken = errors.New("namespace " + Namespace + " is there and is not of a comparison: delete it, or rename what is in it")

// clear removes what a comparison has put into the cluster, and waits until it
// is gone. Where there is nothing it is well. The namespace goes last: it would
// wait for as long as its pods might take to end, and not as they do.
func (s *stage) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneLimit, fmt.Errorf("namespace %s is not gone after %s", Namespace, goneLimit))
	defer cancel()
	return poll(ctx, func(ctx context.Context) (bool, error) {
		var ns corev1.Namespace
		err := s.client.Get(ctx, client.ObjectKey{Name: Namespace}, &ns)
		switch {
		case apierrors.IsNotFound(err):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("looking for namespace %s: %w", Namespace, err)
		case ns.Labels[owner] == "":
			return false, ErrTaken
		}
		left, err := s.empty(ctx)
		if err != nil || left > 0 || !ns.DeletionTimestamp.IsZero() {
			return false, err
		}
		if err := s.client.Delete(ctx, &ns); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("deleting namespace %s: %w", Namespace, err)
		}
		return false, nil
	})
}

// empty deletes what makes pods, and the pods, and returns how many are left.
func (s *stage) empty(ctx context.Context) (left int, err error) {
	for _, all := range []client.Object{&servingv1.Service{}, &appsv1.Deployment{}} {
		if err := s.client.DeleteAllOf(ctx, all, client.InNamespace(Namespace)); client.IgnoreNotFound(err) != nil {
			return 0, fmt.Errorf("deleting what is in namespace %s: %w", Namespace, err)
		}
	}
	pods, err := s.pods(ctx)
	for _, of := range pods {
		left += len(of)
		err = errors.Join(err, s.hurry(ctx, of))
	}
	return left, err
}

// hurry ends pods at once that are ending: nobody sends them anything any more,
// and who waits for them here has asked for nothing else.
func (s *stage) hurry(ctx context.Context, pods []corev1.Pod) error {
	for i := range pods {
		if pods[i].DeletionTimestamp.IsZero() {
			continue
		}
		if err := s.client.Delete(ctx, &pods[i], client.GracePeriodSeconds(1)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("ending pod %s: %w", pods[i].Name, err)
		}
	}
	return nil
}

// set puts all variants into the cluster, and returns when each has answered.
func (s *stage) set(ctx context.Context) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace, Labels: map[string]string{owner: "namespace"}}}
	if err := s.client.Create(ctx, ns); err != nil {
		return fmt.Errorf("making namespace %s: %w", Namespace, err)
	}
	for _, v := range Variants {
		for _, object := range s.program.objects(v) {
			if err := s.client.Create(ctx, object); err != nil {
				return fmt.Errorf("making %s %s: %w", s.kind(object), v.Name, err)
			}
		}
	}
	for _, v := range Variants {
		if err := s.answers(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) kind(object client.Object) string {
	kind, err := apiutil.GVKForObject(object, s.client.Scheme())
	if err != nil {
		return "an object"
	}
	return kind.Kind
}

// keep gives the variants of the serving stack a pod that stays, as those of
// Istio alone have, and returns when it is the only one.
func (s *stage) keep(ctx context.Context) error {
	for _, v := range Variants {
		if !v.Serving {
			continue
		}
		var service servingv1.Service
		if err := s.client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: v.Name}, &service); err != nil {
			return fmt.Errorf("reading service %s: %w", v.Name, err)
		}
		before := service.DeepCopy()
		service.Spec.Template.Annotations = alwaysOne
		if err := s.client.Patch(ctx, &service, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("keeping a pod of service %s: %w", v.Name, err)
		}
	}
	for _, v := range Variants {
		if err := s.answers(ctx, v); err != nil {
			return err
		}
		if err := s.count(ctx, v, 1, zeroLimit); err != nil {
			return err
		}
	}
	return nil
}

// answers returns when a variant is as it was asked to be, and answers with a
// success through the gateway.
func (s *stage) answers(ctx context.Context, v Variant) error {
	last := "it has not answered"
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	err := poll(ctx, func(ctx context.Context) (bool, error) {
		settled, err := s.settled(ctx, v)
		if err != nil || !settled {
			return false, err
		}
		got, err := curl(ctx, s.gateway, v.host(s.program.domain))
		switch {
		case err != nil:
			last = err.Error()
		case got.Status >= http.StatusBadRequest:
			last = fmt.Sprintf("it answers %d %s", got.Status, http.StatusText(got.Status))
		}
		return err == nil && got.Status < http.StatusBadRequest, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s is not ready after %s: %s", v.Name, readyLimit, last)
	}
	return err
}

// settled is whether a variant is what its object asks for.
func (s *stage) settled(ctx context.Context, v Variant) (bool, error) {
	at := client.ObjectKey{Namespace: Namespace, Name: v.Name}
	if v.Serving {
		var service servingv1.Service
		if err := s.client.Get(ctx, at, &service); err != nil {
			return false, fmt.Errorf("reading service %s: %w", v.Name, err)
		}
		return service.IsReady(), nil
	}
	var d appsv1.Deployment
	if err := s.client.Get(ctx, at, &d); err != nil {
		return false, fmt.Errorf("reading deployment %s: %w", v.Name, err)
	}
	return d.Status.ObservedGeneration == d.Generation && d.Status.ReadyReplicas == 1, nil
}

// count returns when a variant has so many pods, whatever their state.
func (s *stage) count(ctx context.Context, v Variant, pods int, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s does not come to %d pods in %s", v.Name, pods, limit))
	defer cancel()
	return poll(ctx, func(ctx context.Context) (bool, error) {
		all, err := s.pods(ctx)
		if err != nil || len(all[v.Name]) == pods {
			return err == nil, err
		}
		return false, s.hurry(ctx, all[v.Name])
	})
}

// pods are those of the variants, by the variants' names.
func (s *stage) pods(ctx context.Context) (map[string][]corev1.Pod, error) {
	var list corev1.PodList
	if err := s.client.List(ctx, &list, client.InNamespace(Namespace)); err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	all := map[string][]corev1.Pod{}
	for _, pod := range list.Items {
		name := pod.Labels[owner]
		all[name] = append(all[name], pod)
	}
	return all, nil
}

// poll asks until the answer is yes, an error, or that of the context.
func poll(ctx context.Context, done wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, done)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
