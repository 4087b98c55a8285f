package main

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatient dials somebody who is away for a while.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Minute)
		dial := patient(func(context.Context, string, string) (net.Conn, error) {
			if time.Now().Before(back) {
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			near, far := net.Pipe()
			t.Cleanup(func() { far.Close() })
			return near, nil
		})
		conn, err := dial(t.Context(), "tcp", "10.96.0.1:443")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if late := time.Since(back); late > 100*time.Millisecond {
			t.Errorf("connected %s after it was possible", late)
		}

		back = time.Now().Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := dial(ctx, "tcp", "10.96.0.1:443"); err == nil || time.Now().After(back) {
			t.Errorf("with no time left there was error %v", err)
		}
	})
}
