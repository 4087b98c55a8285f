package delve

import (
	"context"
	"fmt"
	"io"
	"net/rpc/jsonrpc"
)

// release has the program under a Delve go on, without the breakpoints that
// debuggers have set.
func release(ctx context.Context, connection io.ReadWriteCloser) error {
	client := jsonrpc.NewClient(connection)
	defer func() { _ = client.Close() }()                         // with the connection
	stop := context.AfterFunc(ctx, func() { _ = client.Close() }) // which ends a call
	defer stop()
	call := func(method string, in, out any) error {
		if err := client.Call("RPCServer."+method, in, out); err != nil {
			return fmt.Errorf("asking Delve for %s: %w", method, err)
		}
		return nil
	}
	type command struct {
		Name string `json:"name"`
	}
	var ignored any
	var now struct{ State struct{ Running bool } }
	if err := call("State", struct{ NonBlocking bool }{true}, &now); err != nil {
		return err
	}
	if now.State.Running { // breakpoints change only while it stands; and one that stands would halt once more as it goes on
		if err := call("Command", command{"halt"}, &ignored); err != nil {
			return err
		}
	}
	var set struct {
		Breakpoints []struct {
			ID int `json:"id"`
		}
	}
	if err := call("ListBreakpoints", struct{}{}, &set); err != nil {
		return err
	}
	for _, b := range set.Breakpoints {
		if b.ID <= 0 {
			continue // Delve's own, at panics
		}
		if err := call("ClearBreakpoint", struct{ Id int }{b.ID}, &ignored); err != nil {
			return err
		}
	}
	// It is answered when the program stands again, which it does not; but the
	// next question is, after this one has been heard.
	client.Go("RPCServer.Command", command{"continue"}, &ignored, nil)
	return call("State", struct{ NonBlocking bool }{true}, &now)
}
