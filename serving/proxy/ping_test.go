package proxy

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestPings has a stream of HTTP/2 that is silent for an hour. Its server is
// told of the silence where that is asked for, and nowhere else: a gRPC server
// closes the connection for it.
func TestPings(t *testing.T) {
	for ping, want := range map[time.Duration]bool{0: false, 30 * time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			transport := NewTransport(TransportConfig{H2C: true, Ping: ping, Idle: time.Second})
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return client, nil }
			pings := make(chan int, 1)
			go func() { pings <- silent(server) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pod/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := transport.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
			_ = client.Close()
			if got := <-pings; got > 0 != want {
				t.Errorf("with Ping %s: %d pings in an hour", ping, got)
			}
		})
	}
}

// silent is a server of HTTP/2 that answers pings and nothing else. It returns
// how many there were.
func silent(conn net.Conn) (pings int) {
	defer conn.Close()
	const (
		preface        = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		frameSettings  = 4
		framePing      = 6
		acknowledgment = 1
	)
	go func() { _, _ = conn.Write([]byte{0, 0, 0, frameSettings, 0, 0, 0, 0, 0}) }()
	if _, err := io.ReadFull(conn, make([]byte, preface)); err != nil {
		return 0
	}
	for {
		head := make([]byte, 9) // length in three bytes, type, flags, stream
		if _, err := io.ReadFull(conn, head); err != nil {
			return pings
		}
		body := make([]byte, binary.BigEndian.Uint32(append([]byte{0}, head[:3]...)))
		if _, err := io.ReadFull(conn, body); err != nil {
			return pings
		}
		if head[3] == framePing && head[4] != acknowledgment {
			pings++
			head[4] = acknowledgment
			go func() { _, _ = conn.Write(append(head, body...)) }()
		}
	}
}
