// Command subject is the service that the tests of this folder break. It
// waits for as many milliseconds as the query's sleep says, and answers with
// its revision, a word that edits change, and the most requests it ever had
// in hand; under /echo, with the request as it saw it; under /client, with who
// proxies say that the client is; under /get, with what it is answered itself
// at the query's url; under /start, with what it was answered at the url of
// AT_START, the first thing that it asked for.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const word = "one"

// atStart is what was answered before anything else was done.
var atStart string

func main() {
	if url := os.Getenv("AT_START"); url != "" {
		atStart = ask(url)
	}
	log.Fatal(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "8080"), handler()))
}

func handler() http.Handler {
	var inHand, most atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/get", get)
	mux.HandleFunc("/start", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, atStart) })
	mux.HandleFunc("/client", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Header.Get("X-Forwarded-Client-Cert"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		now := inHand.Add(1)
		defer inHand.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		milliseconds, _ := strconv.Atoi(r.URL.Query().Get("sleep")) // without it 0
		select {
		case <-time.After(time.Duration(milliseconds) * time.Millisecond):
			fmt.Fprintf(w, "%s %s %d\n", os.Getenv("K_REVISION"), word, most.Load())
		case <-r.Context().Done():
		}
	})
	return mux
}

// echo answers with what should be the same whatever a client tried, and with
// the headers that only the box's own parts may see.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	fmt.Fprintf(w, "%s: %s %s %q", os.Getenv("K_SERVICE"), r.Method, r.RequestURI, body)
	for name := range r.Header {
		if strings.HasPrefix(name, "K-") || strings.HasPrefix(name, "Knative-") || strings.HasPrefix(name, "Devbox-") {
			fmt.Fprintf(w, " %s=%q", name, r.Header[name])
		}
	}
	fmt.Fprintln(w)
}

// get answers with what is answered at the query's url.
func get(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, ask(r.URL.Query().Get("url")))
}

// ask makes a request, over a connection of its own, and returns the status or
// why there is none.
func ask(url string) string {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	res.Body.Close()
	return res.Status
}
