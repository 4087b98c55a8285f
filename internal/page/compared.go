package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/kind-in-a-box/devbox/internal/compare"
)

// compared is a comparison in words.
type compared struct {
	Began time.Time  `json:"began"`
	Title string     `json:"title"`
	Table [][]string `json:"table"`
	Notes []string   `json:"notes"`
	Words []string   `json:"words"`
}

// serveComparison tells of the last comparison, by the words of the terminal.
func (s *Server) serveComparison(w http.ResponseWriter, _ *http.Request) {
	report, err := readComparison(s.cfg.Comparison)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "Nothing was compared in this box yet. devbox compare DIRECTORY does it.", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		answer(w, compared{report.Began, report.Title(), report.Table(), report.Notes(), report.Words})
	}
}

func readComparison(file string) (*compare.Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the last comparison: %w", err)
	}
	report := new(compare.Report)
	if err := json.Unmarshal(data, report); err != nil {
		return nil, fmt.Errorf("reading the last comparison (%s): %w", file, err)
	}
	return report, nil
}
