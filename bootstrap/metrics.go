package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// ErrOlder says that the box is of an older devbox, which told no numbers.
var ErrOlder = errors.New("the box was made by an older devbox, which has no such numbers; `devbox up` renews it")

const (
	// metricsPatience is how long a part may take to tell its numbers.
	metricsPatience = 5 * time.Second
	// metricsLimit is how much of them is read, in bytes.
	metricsLimit = 64 << 20
	// metricsPortName is the port of the parts' Services on kind, as upstream
	// calls it.
	metricsPortName = "http-metrics"
)

// metricParts are the parts of the box that tell numbers: on kind a pod each,
// on the embedded engine one process for all.
func (b *Box) metricParts() []string {
	if b.Engine == engineEmbedded {
		return []string{"box"}
	}
	return []string{"activator", "controller", "registry"}
}

// Metrics returns the numbers of the box's parts, by name; docs/metrics.md has
// the list. Numbers of a part's process, go_ and process_, are left out where
// there are several. It returns an ErrOlder where the box is of a devbox that
// told none.
func (b *Box) Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	all := map[string]*dto.MetricFamily{}
	parts := b.metricParts()
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
	part := b.metricParts()[0]
	if b.Engine != engineEmbedded {
		part = "controller"
	}
	if _, err := b.ask(ctx, part, http.MethodPut, "loop", numbers); err != nil {
		return fmt.Errorf("telling box %s what was counted: %w", b.Name, err)
	}
	return nil
}

// ask makes a request of a part's address for numbers and returns the answer.
func (b *Box) ask(ctx context.Context, part, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsPatience)
	defer cancel()
	if b.Engine == engineEmbedded {
		return b.askProcess(ctx, method, path, body)
	}
	return b.askPod(ctx, part, method, path, body)
}

// askPod asks by way of the API server: no port of this machine leads there.
func (b *Box) askPod(ctx context.Context, part, method, path string, body []byte) ([]byte, error) {
	config, err := b.RESTConfig()
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	request := clients.CoreV1().RESTClient().Verb(method).Namespace(servingv1.Namespace).
		Resource("services").Name(part + ":" + metricsPortName).SubResource("proxy").Suffix(path)
	if body != nil {
		request.SetHeader("Content-Type", "text/plain").Body(body)
	}
	answer, err := request.Do(ctx).Raw()
	if apierrors.IsNotFound(err) || err != nil && bytes.Contains(answer, []byte("no service port")) {
		return nil, fmt.Errorf("%w (%w)", ErrOlder, err)
	}
	return answer, err
}

// askProcess asks the process of an embedded box.
func (b *Box) askProcess(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	if b.MetricsPort == 0 {
		return nil, ErrOlder
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", b.MetricsPort, path)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, metricsLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", url, err)
	case len(answer) > metricsLimit:
		return nil, fmt.Errorf("%s answers with more than %d MiB", url, metricsLimit>>20)
	case response.StatusCode/100 != 2:
		line, _, _ := strings.Cut(string(answer[:min(len(answer), 200)]), "\n")
		return nil, fmt.Errorf("%s answers %s: %s", url, response.Status, line)
	}
	return answer, nil
}
