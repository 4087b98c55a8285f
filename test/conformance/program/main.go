// Command program is the service that the conformance tests deploy: what it
// tells of itself and how it behaves is up to the request and to its
// environment. Called with an argument, it asks one beside it whether that is warm.
//
//	/env, /headers, /file?path=  what it is given
//	/proto                       the protocol it is spoken to in
//	/sleep?first=&then=          answers after first, and ends it after then, in milliseconds
//	/most                        the most requests it ever had in hand
//	/upgrade?first=              greets after first and says back what it hears; "goodbye" on SIGTERM
//	/warm                        200 when it has run for WARM, 503 before
//	/write?path=                 makes a file
//	/sick                        is answered with 500 by /alive from then on
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	port := cmp.Or(os.Getenv("PORT"), "8080")
	if len(os.Args) > 1 { // probe: as kubelet runs it beside the server
		os.Exit(probe("http://127.0.0.1:" + port + "/warm"))
	}
	if code := os.Getenv("EXIT"); code != "" {
		fmt.Fprintln(os.Stderr, "it ends on purpose")
		n, _ := strconv.Atoi(code)
		os.Exit(n)
	}
	time.Sleep(duration(os.Getenv("LISTEN_AFTER")))
	if os.Getenv("DEAF") != "" {
		select {}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: ":" + port, Handler: handler(ctx), Protocols: &protocols}
	left := make(chan error, 1)
	go func() {
		<-ctx.Done()
		left <- server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-left; err != nil {
		log.Fatal(err)
	}
	goodbyes.Wait()
}

// probe returns the exit code of a probe that asks a URL.
func probe(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 1
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}

// duration reads milliseconds; what is none is 0.
func duration(s string) time.Duration {
	n, _ := strconv.Atoi(s)
	return time.Duration(n) * time.Millisecond
}

func handler(leave context.Context) http.Handler {
	began := time.Now()
	var inHand, most atomic.Int64
	var sick atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getenv("K_REVISION")) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range slices.Sorted(slices.Values(os.Environ())) {
			fmt.Fprintln(w, v)
		}
	})
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.FormValue("path")) })
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(r.FormValue("path"), nil, 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	})
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.Proto) })
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) {
		now := inHand.Add(1)
		defer inHand.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		time.Sleep(duration(r.FormValue("first")))
		fmt.Fprintln(w, "begun")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(duration(r.FormValue("then")))
		fmt.Fprintln(w, "ended")
	})
	mux.HandleFunc("/most", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, most.Load()) })
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) { upgrade(leave, w, r) })
	mux.HandleFunc("/warm", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < duration(os.Getenv("WARM")) {
			http.Error(w, "not warm yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/sick", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("/alive", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			http.Error(w, "sick", http.StatusInternalServerError)
		}
	})
	return mux
}

// headers tells of the request's, one a line.
func headers(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "Host:", r.Host)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			fmt.Fprintln(w, name+":", value)
		}
	}
}

// goodbyes are the upgraded connections that still have something to say.
var goodbyes sync.WaitGroup

func upgrade(leave context.Context, w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	goodbyes.Add(1)
	defer goodbyes.Done()
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	_ = rw.Flush()
	time.Sleep(duration(r.FormValue("first")))
	fmt.Fprintln(conn, "welcome")
	defer context.AfterFunc(leave, func() { farewell(conn) })()
	_, _ = io.Copy(conn, rw)
}

func farewell(conn net.Conn) {
	fmt.Fprintln(conn, "goodbye")
	_ = conn.Close()
}
