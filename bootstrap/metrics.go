package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ErrOlder says that the box is of an older devbox, which told no numbers.
var ErrOlder = errors.New("the box was made by an older devbox, which has no such numbers; `devbox up` renews it")

// metricsPatience is how long a part may take to tell its numbers.
const metricsPatience = 5 * time.Second

// Metrics returns the numbers of the box's parts, by name; docs/metrics.md has
// the list. Numbers of a part's process, go_ and process_, are left out where
// there are several. It returns an ErrOlder where the box is of a devbox that
// told none.
func (b *Box) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	all := map[string]*dto.MetricFamily{}
	parts := b.Parts()
	for _, part := range parts {
		text, err := b.ask(ctx, part, http.MethodGet, "metrics", nil)
		if err != nil {
			return nil, fmt.Errorf("asking the %s of box %s for its numbers: %w", part, b.Name, err)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("reading the numbers of the %s of box %s: %w", part, b.Name, err)
		}
		for name, family := range families {
			if len(parts) > 1 && (strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")) {
				continue
			}
			if before := all[name]; before != nil {
				family.Metric = append(before.Metric, family.Metric...)
			}
			all[name] = family
		}
	}
	return all, nil
}

// TellLoop hands the box what a session has counted, in Prometheus' text
// format, to be served with the box's own numbers until a minute after the last
// word.
func (b *Box) TellLoop(ctx context.Context, numbers []byte) error {
	if len(b.Parts()) == 0 { // nobody asks it for them either
		return nil
	}
	if _, err := b.ask(ctx, b.Parts()[0], http.MethodPut, "loop", numbers); err != nil {
		return fmt.Errorf("telling box %s what was counted: %w", b.Name, err)
	}
	return nil
}

// ask makes a request of a part's address for numbers and returns the answer.
func (b *Box) ask(ctx context.Context, part, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsPatience)
	defer cancel()
	return b.Ask(ctx, part, method, path, body)
}
