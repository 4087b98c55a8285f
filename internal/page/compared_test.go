package page

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestComparison is what the page hears of the file of the last comparison.
func TestComparison(t *testing.T) {
	file := filepath.Join(t.TempDir(), "comparison.json")
	ask := func(want int) compared {
		t.Helper()
		answer := httptest.NewRecorder()
		New(Config{Comparison: file}).serveComparison(answer, httptest.NewRequest(http.MethodGet, "/api/comparison", nil))
		if answer.Code != want {
			t.Fatalf("the answer is %d, want %d: %s", answer.Code, want, answer.Body)
		}
		var got compared
		if want == http.StatusOK {
			if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	ask(http.StatusNotFound)
	if err := os.WriteFile(file, []byte(`{"program": "hello", "rounds": 1, "words": ["It gives."],
		"variants": [{"variant": "serving", "cold": 150000000}, {"variant": "istio"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ask(http.StatusOK)
	want := [][]string{{"", "SERVING", "ISTIO"}, {"cold start", "150 ms", "-"}}
	if diff := cmp.Diff(want, got.Table[:2]); diff != "" || got.Words[0] != "It gives." || len(got.Notes) == 0 {
		t.Errorf("the page hears %+v\n%s", got, diff)
	}
	if err := os.WriteFile(file, []byte(`{"program":`), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(http.StatusInternalServerError)
}
