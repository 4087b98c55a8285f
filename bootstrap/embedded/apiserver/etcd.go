package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// readyLimit is how long etcd may take until it leads itself, which is less than
// a second where nothing is wrong.
const readyLimit = time.Minute

// etcd is a running etcd of one member.
type etcd struct {
	member   *embed.Etcd
	server   *grpc.Server
	serving  sync.WaitGroup
	made     string // the directory of the socket, where it is etcd's own
	endpoint string // as etcd's clients call it
}

// startEtcd runs etcd behind a unix socket that no other user can open.
func startEtcd(ctx context.Context, o Options) (_ *etcd, err error) {
	e := &etcd{}
	if o.Sockets == "" {
		if e.made, err = os.MkdirTemp("", "devbox-etcd-"); err != nil {
			return nil, fmt.Errorf("making etcd's socket directory: %w", err)
		}
		o.Sockets = e.made
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	config := etcdConfig(o)
	founded, err := found(config.Dir)
	if err != nil {
		return nil, err
	}
	if e.member, err = embed.StartEtcd(config); err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("it does not lead itself after %s", readyLimit))
	defer cancel()
	select {
	case <-e.member.Server.ReadyNotify():
	case err := <-e.member.Err():
		return nil, fmt.Errorf("starting etcd: %w", err)
	case <-ctx.Done():
		return nil, fmt.Errorf("starting etcd: %w", context.Cause(ctx))
	}
	if err := founded(); err != nil {
		return nil, err
	}
	if err := e.serve(filepath.Join(o.Sockets, "etcd")); err != nil {
		return nil, err
	}
	return e, nil
}

// found makes way for an etcd that has not been ready yet, where there is one in
// dir: one that ends before it knows itself to be a member never will, and
// nobody has written anything to it. It returns what is to be called when etcd
// is ready.
func found(dir string) (founded func() error, err error) {
	founding := dir + ".founding"
	if _, err := os.Stat(founding); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("removing an etcd that never was ready: %w", err)
		}
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(founding, nil, 0o600); err != nil {
			return nil, fmt.Errorf("making etcd's directory: %w", err)
		}
	}
	return func() error {
		if err := os.Remove(founding); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("noting that etcd is ready: %w", err)
		}
		return nil
	}, nil
}

func etcdConfig(o Options) *embed.Config {
	c := embed.NewConfig()
	c.Name = "devbox"
	c.Dir = filepath.Join(o.Dir, "etcd")
	// Nobody listens: there are no peers, and clients come by serve.
	c.ListenPeerUrls, c.ListenClientUrls = nil, nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = o.NoSync
	// The only member need not wait for others before it leads.
	c.TickMs, c.ElectionMs = 20, 100
	// Fewer entries between two snapshots are less memory.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 5000, 500
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapcore.NewCore(
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(o.Log), zap.WarnLevel)))
	return c
}

// serve listens in place of embed, whose own server waits at its end for
// every client to leave. One of kube-apiserver's never does.
func (e *etcd) serve(socket string) error {
	address := url.URL{Scheme: "unix", Path: socket}
	listener, err := net.Listen(address.Scheme, address.Path)
	if err != nil {
		return fmt.Errorf("listening for etcd: %w", err)
	}
	e.endpoint = address.String()
	// kube-apiserver's clients ask for a sign of life every 30 s, which gRPC
	// takes for an attack unless it is told otherwise, as embed does.
	e.server = v3rpc.Server(e.member.Server, nil, nil,
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: embed.DefaultGRPCKeepAliveMinTime}))
	e.serving.Go(func() { _ = e.server.Serve(listener) }) // until stop
	return nil
}

func (e *etcd) stop() error {
	if e.server != nil {
		e.server.Stop()
		e.serving.Wait()
	}
	if e.member != nil {
		e.member.Close()
	}
	if e.made == "" {
		return nil // the listener has removed the socket
	}
	if err := os.RemoveAll(e.made); err != nil {
		return fmt.Errorf("removing etcd's socket directory: %w", err)
	}
	return nil
}
