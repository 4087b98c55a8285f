package controller

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/controller-runtime/pkg/log"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/registry"
)

// listenRetry is how long a registry that does not say what arrives is left
// alone.
const listenRetry = time.Second

// listen hears of the images that are pushed, so that a pod that stands by has
// the layers of the next revision when there is one. While it hears nothing,
// layers are fetched when a pod is told what to be.
func (s *standbys) listen(ctx context.Context) error {
	if s.images == nil {
		return nil
	}
	for {
		err := s.hear(ctx)
		if ctx.Err() != nil {
			return nil
		}
		log.FromContext(ctx).V(1).Info("the registry does not say what arrives", "error", err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenRetry):
		}
	}
}

// hear is one connection to the registry.
func (s *standbys) hear(ctx context.Context) error {
	program, err := name.ParseReference(s.images.program)
	if err != nil {
		return fmt.Errorf("parsing image %q: %w", s.images.program, err)
	}
	at, err := s.images.reachable(program)
	if err != nil {
		return err
	}
	from := at.Context().Registry
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.Scheme()+"://"+from.RegistryStr()+registry.PushesPath, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", req.URL, res.Status)
	}
	host := program.Context().RegistryStr()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		s.pushed(ctx, host+"/"+lines.Text())
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// pushed has pods that stand by for a service with an image of this repository
// bring its layers.
func (s *standbys) pushed(ctx context.Context, image string) {
	pods := s.waitingFor(repositoryOf(image))
	if len(pods) == 0 {
		return
	}
	facts, err := s.images.of(ctx, image)
	if err != nil {
		return // whoever asks for such a pod hears why
	}
	for _, k := range pods {
		if !slices.Equal(facts.Base, k.image.Base) {
			continue // it will not be adopted
		}
		for _, c := range k.pod.Spec.Containers {
			if c.Name != servingv1.QueueContainer {
				s.desk.Prepare(k.pod.Name, c.Name, facts.Layers)
			}
		}
	}
}

// StandsBy says whether a pod stands by that brings an image of this repository
// itself, should it be told to be one of its pods.
func (c *Controller) StandsBy(image string) bool {
	return len(c.standby.waitingFor(repositoryOf(image))) > 0
}

// waitingFor are the pods that stand by for one whose image is of a repository.
func (s *standbys) waitingFor(repository string) []*kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pods []*kept
	for _, k := range s.kept {
		if repositoryOf(desired.UserImage(k.template)) == repository && s.desk.Of(k.pod.Name).Waits {
			pods = append(pods, k)
		}
	}
	return pods
}

// repositoryOf is an image's name without its digest.
func repositoryOf(image string) string {
	repository, _, _ := strings.Cut(image, "@")
	return repository
}
