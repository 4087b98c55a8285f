// Command hello is the smallest service: it answers every request with a
// greeting. Change the words, save, and ask again.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	target := cmp.Or(os.Getenv("TARGET"), "World")
	port := cmp.Or(os.Getenv("PORT"), "8080")

	log.Printf("greeting %s on port %s", target, port)
	log.Fatal(http.ListenAndServe(":"+port, greet(target)))
}

// greet says hello to target.
func greet(target string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "Hello %s!\n", target)
	}
}
