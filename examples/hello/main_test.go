package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGreet(t *testing.T) {
	for _, path := range []string{"/", "/any/path?and=query"} {
		answer := httptest.NewRecorder()
		greet("World").ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))

		if got, want := answer.Body.String(), "Hello World!\n"; got != want {
			t.Errorf("GET %s answers %q, want %q", path, got, want)
		}
	}
}
