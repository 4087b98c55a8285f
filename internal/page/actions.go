package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Owner is by whom the API server says that a field was set.
const Owner = "devbox-ui"

const (
	changeLimit  = 10 * time.Second
	requestLimit = 2 * time.Minute // a cold start of a large image is one
)

// inputError is a mistake of who asks.
type inputError struct{ error }

// refuse says why something is not done: in the API server's words where they
// are its.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	var said apierrors.APIStatus
	var input inputError
	switch {
	case errors.As(err, &said) && said.Status().Code >= 400:
		status = int(said.Status().Code)
	case errors.As(err, &input):
		status = http.StatusBadRequest
	case errors.Is(err, errAway):
		status = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), status)
}

// decode reads what is asked for. A field that nobody knows is a mistake.
func decode(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return inputError{fmt.Errorf("reading the request: %w", err)}
	}
	return nil
}

// serveTraffic writes a Service's spec.traffic: with it one rolls back, splits
// traffic, holds a revision, and lets go again.
func (s *Server) serveTraffic(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Traffic []target `json:"traffic"`
	}
	err := decode(r, &asked)
	if err == nil {
		err = s.setTraffic(r, asked.Traffic)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

// setTraffic replaces the list. What may be in it is for the API server to say.
func (s *Server) setTraffic(r *http.Request, targets []target) error {
	box := s.here()
	if box == nil {
		return errAway
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeLimit)
	defer cancel()
	c, err := connect(box)
	if err != nil {
		return err
	}
	traffic := []map[string]any{}
	for _, t := range targets {
		one := map[string]any{"percent": t.Percent, "latestRevision": t.Revision == ""}
		if t.Revision != "" {
			one["revisionName"] = t.Revision
		}
		if t.Tag != "" {
			one["tag"] = t.Tag
		}
		traffic = append(traffic, one)
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"traffic": traffic}})
	if err != nil {
		return fmt.Errorf("writing the change: %w", err)
	}
	var ksvc servingv1.Service
	ksvc.Namespace, ksvc.Name = r.PathValue("namespace"), r.PathValue("name")
	return c.Patch(ctx, &ksvc, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(Owner))
}

func connect(box *Box) (client.Client, error) {
	kinds, err := scheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(box.REST, client.Options{Scheme: kinds})
	if err != nil {
		return nil, fmt.Errorf("connecting to the box: %w", err)
	}
	return c, nil
}

// asked is a request that the page wants sent.
type asked struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Tag    string `json:"tag"` // of the target, "" is the service itself
	Body   string `json:"body"`
}

// sent is a request's way, and its picture.
type sent struct {
	Way way.Way `json:"way"`
	SVG string  `json:"svg"`
}

// serveRequest sends one request to a service of the box, and to nobody else.
func (s *Server) serveRequest(w http.ResponseWriter, r *http.Request) {
	var ask asked
	err := decode(r, &ask)
	if err != nil {
		refuse(w, err)
		return
	}
	out, err := s.send(r, ask)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, out)
}

// methods that the page sends.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

func (s *Server) send(r *http.Request, ask asked) (*sent, error) {
	box := s.here()
	if box == nil {
		return nil, errAway
	}
	if !strings.Contains(" "+strings.Join(methods, " ")+" ", " "+ask.Method+" ") {
		return nil, inputError{fmt.Errorf("method %q is not one of %s", ask.Method, strings.Join(methods, ", "))}
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
	defer cancel()
	c, err := connect(box)
	if err != nil {
		return nil, err
	}
	var ksvc servingv1.Service // it must be there: the page sends to the box's own hosts only
	if err := c.Get(ctx, client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}, &ksvc); err != nil {
		return nil, err
	}
	request := way.Request{
		Service: ksvc.Name, Namespace: ksvc.Namespace, Gateway: box.Gateway,
		Host:   servingv1.ServiceHost(&ksvc, ask.Tag, box.Domain),
		Method: ask.Method, Path: ask.Path, Body: []byte(ask.Body),
	}
	if box.Networks != nil {
		request.Networks = box.Networks(c, &ksvc)
	}
	if err := request.Check(); err != nil {
		return nil, inputError{err}
	}
	w, err := way.Send(ctx, request)
	if err != nil {
		return nil, err
	}
	var picture bytes.Buffer
	if err := way.SVG(&picture, w); err != nil {
		return nil, err
	}
	return &sent{w, picture.String()}, nil
}
