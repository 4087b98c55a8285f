// Command talker is the service that the tests speak other protocols to than
// HTTP/1.1: gRPC, with the health service, and a WebSocket, whose frames it
// sends back. To all else it answers with the protocol that it was asked in.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	calls := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(calls, health.NewServer())
	plain := http.NewServeMux()
	plain.Handle("/socket", websocket.Handler(func(ws *websocket.Conn) { _, _ = io.Copy(ws, ws) }))
	plain.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.Proto) })

	server := http.Server{
		Addr:      ":" + cmp.Or(os.Getenv("PORT"), "8080"),
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
				calls.ServeHTTP(w, r)
				return
			}
			plain.ServeHTTP(w, r)
		}),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	log.Fatal(server.ListenAndServe())
}
