package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestServe(t *testing.T) {
	tests := []struct {
		query string
		code  int
		want  string
	}{
		{"", http.StatusOK, ""},
		{"?sleep=0&prime=0&bloat=0", http.StatusOK, ""},
		{"?sleep=100", http.StatusOK, "Slept for 100.00 milliseconds.\n"},
		{"?prime=10000", http.StatusOK, "The largest prime up to 10000 is 9973.\n"},
		{"?prime=2", http.StatusOK, "The largest prime up to 2 is 2.\n"},
		{"?prime=1", http.StatusOK, "There is no prime up to 1.\n"},
		{"?bloat=5", http.StatusOK, "Allocated 5 MB of memory.\n"},
		{
			"?sleep=7&prime=100&bloat=1", http.StatusOK,
			"Allocated 1 MB of memory.\nThe largest prime up to 100 is 97.\nSlept for 7.00 milliseconds.\n",
		},
		{"?sleep=long", http.StatusBadRequest, "sleep=long is not a whole number from 0 to 600000\n"},
		{"?prime=-1", http.StatusBadRequest, "prime=-1 is not a whole number from 0 to 100000000\n"},
		{"?bloat=4096", http.StatusBadRequest, "bloat=4096 is not a whole number from 0 to 1024\n"},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := httptest.NewRecorder()
				serve(answer, httptest.NewRequest(http.MethodGet, "/"+test.query, nil))

				if answer.Code != test.code || answer.Body.String() != test.want {
					t.Errorf("answers %d %q, want %d %q", answer.Code, answer.Body, test.code, test.want)
				}
			})
		})
	}
}

func TestSleepEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()

		if got, want := sleep(ctx, 1000), 20*time.Millisecond; got != want {
			t.Errorf("slept %v after the client had gone at %v", got, want)
		}
	})
}
