package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded/process"
)

// entrance is the way into a box.
type entrance struct{ box *bootstrap.Box }

// Enter leads to the box's process.
func (Engine) Enter(box *bootstrap.Box) bootstrap.Entrance { return entrance{box} }

// Parts are one process.
func (entrance) Parts() []string { return []string{"box"} }

// answerBytes is how much of an answer is read.
const answerBytes = 64 << 20

// Ask asks the process.
func (e entrance) Ask(ctx context.Context, _, method, path string, body []byte) ([]byte, error) {
	if e.box.MetricsPort == 0 {
		return nil, bootstrap.ErrOlder
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", e.box.MetricsPort, path)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", url, err)
	case len(answer) > answerBytes:
		return nil, fmt.Errorf("%s answers with more than %d MiB", url, answerBytes>>20)
	case response.StatusCode/100 != 2:
		line, _, _ := strings.Cut(string(answer[:min(len(answer), 200)]), "\n")
		return nil, fmt.Errorf("%s answers %s: %s", url, response.Status, line)
	}
	return answer, nil
}

// lookEvery is how often the process is looked for.
const lookEvery = 500 * time.Millisecond

// Ended looks for the process until there is none.
func (e entrance) Ended(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookEvery):
		}
		if running, err := process.Find(ctx, e.box.Dir()); err == nil && running == nil {
			return errors.New("the box's process has ended")
		}
	}
}

// Log is what the process writes.
func (e entrance) Log() string { return logOf(e.box) }

func logOf(box *bootstrap.Box) string { return filepath.Join(box.Dir(), process.LogName) }

// Lacks is the list of what a box has not.
func (entrance) Lacks() []string { return Lacks() }
