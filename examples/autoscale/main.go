// Command autoscale consumes what the query asks for, so that load can be
// made to order:
//
//	sleep=100     wait 100 milliseconds
//	prime=10000   find the largest prime up to 10000
//	bloat=5       hold 5 MB of memory for as long as the request takes
//
// The three run side by side, and the answer says what each has come to.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
)

func main() {
	port := cmp.Or(os.Getenv("PORT"), "8080")

	log.Printf("taking orders on port %s", port)
	log.Fatal(http.ListenAndServe(":"+port, http.HandlerFunc(serve)))
}

// serve takes one order, and refuses one it cannot read.
func serve(w http.ResponseWriter, r *http.Request) {
	order, err := parse(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, line := range order.consume(r.Context()) {
		fmt.Fprintln(w, line)
	}
}

// order is how much of each resource a request consumes; 0 is nothing.
type order struct {
	sleep int // milliseconds
	prime int // upper bound of the search
	bloat int // megabytes
}

// The bounds keep one request from taking the whole machine.
const (
	maxSleep = 10 * 60 * 1000
	maxPrime = 100_000_000
	maxBloat = 1024
)

// parse reads an order from a query.
func parse(query url.Values) (order, error) {
	var o order
	for _, field := range []struct {
		name string
		max  int
		into *int
	}{
		{"sleep", maxSleep, &o.sleep},
		{"prime", maxPrime, &o.prime},
		{"bloat", maxBloat, &o.bloat},
	} {
		text := query.Get(field.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > field.max {
			return order{}, fmt.Errorf("%s=%s is not a whole number from 0 to %d", field.name, text, field.max)
		}
		*field.into = n
	}
	return o, nil
}
