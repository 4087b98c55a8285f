package controller

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A session of `devbox up` counts its edits, and ends with a terminal. So that
// they are found where all numbers of the box are, it hands them to the
// controller, which serves them as its own while the session goes on.

const (
	// loopPrefix begins every name that a session may hand over.
	loopPrefix = "devbox_loop_"
	// loopLimit is how long its numbers may be, in bytes.
	loopLimit = 1 << 20
	// loopLife is how long they are served after the session's last word.
	loopLife = time.Minute
)

// loopNumbers is what a session said last. The zero loopNumbers is ready for
// use.
type loopNumbers struct {
	mu       sync.Mutex
	families []*dto.MetricFamily
	at       time.Time
}

// Gather implements prometheus.Gatherer.
func (l *loopNumbers) Gather() ([]*dto.MetricFamily, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) >= loopLife {
		l.families = nil
	}
	return l.families, nil
}

// ServeHTTP takes what a session says: all of its numbers, each time.
func (l *loopNumbers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header["Origin"] != nil {
		http.Error(w, "the loop's numbers are not a web page's to tell", http.StatusForbidden)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, loopLimit))
	if err != nil {
		http.Error(w, "reading the loop's numbers: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	families, err := parseLoop(text)
	if err != nil {
		http.Error(w, "the loop's numbers are refused: "+err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.families, l.at = families, time.Now()
}

// parseLoop reads numbers that can be served beside the controller's own.
func parseLoop(text []byte) ([]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	byName, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for name := range byName {
		if !strings.HasPrefix(name, loopPrefix) {
			return nil, fmt.Errorf("the name %q does not begin with %s", name, loopPrefix)
		}
	}
	read := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		var families []*dto.MetricFamily
		for _, family := range byName {
			families = append(families, family)
		}
		return families, nil
	})
	return prometheus.Gatherers{read}.Gather() // which looks whether they are consistent
}
