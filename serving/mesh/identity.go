package mesh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	askTimeout   = 10 * time.Second
	firstBackOff = 200 * time.Millisecond
	lastBackOff  = 30 * time.Second
)

// ErrNone says that there is no certificate: none is wanted, or the authority
// has not given one yet.
var ErrNone = errors.New("there is no certificate of the mesh yet")

// Config is what an Identity needs.
type Config struct {
	// Authority is the address of the mesh's certificate authority, host and
	// port: istiod's.
	Authority string
	// Namespace and Account are the service account whose name is certified.
	Namespace, Account string
	// Token returns a token of that account for the authority.
	Token func(context.Context) (string, error)
	// Dial reaches the authority; nil is over TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	Log  *slog.Logger
}

// Identity is a workload's certificate and what it trusts, renewed while
// somebody wants it. Its methods may be called at the same time.
type Identity struct {
	config  Config
	current atomic.Pointer[credential]
	changed chan struct{} // holds a token when there is news of a credential
	asked   chan struct{} // holds a token when wish has changed

	mu   sync.Mutex
	wish wish
}

// wish is what an Identity is to come to.
type wish struct {
	wanted bool
	roots  string // PEM
}

// credential is one certificate and all that is made of it.
type credential struct {
	cert    *tls.Certificate
	roots   *x509.CertPool
	id      ID
	from    wish
	renewAt time.Time
	server  *tls.Config
	client  *tls.Config
}

// NewIdentity returns an Identity that has no certificate yet.
func NewIdentity(c Config) *Identity {
	return &Identity{config: c, changed: make(chan struct{}, 1), asked: make(chan struct{}, 1)}
}

// Want says whether a certificate is wanted, and the mesh's root certificates
// as PEM.
func (i *Identity) Want(wanted bool, roots string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if next := (wish{wanted, roots}); next != i.wish {
		i.wish = next
		notify(i.asked)
	}
}

// Changed holds a token when Ready may say something else than before.
func (i *Identity) Changed() <-chan struct{} { return i.changed }

// Ready says whether there is a certificate that is valid now.
func (i *Identity) Ready() bool {
	_, err := i.get()
	return err == nil
}

// ID is the name that is certified.
func (i *Identity) ID() (ID, error) {
	c, err := i.get()
	if err != nil {
		return ID{}, err
	}
	return c.id, nil
}

func (i *Identity) get() (*credential, error) {
	c := i.current.Load()
	if c == nil || !time.Now().Before(c.cert.Leaf.NotAfter) {
		return nil, ErrNone
	}
	return c, nil
}

// Run keeps the certificate until ctx ends: it asks for one when one is
// wanted, for the next at half of its life, and for another one when the
// mesh's roots change. While none is wanted, nothing is asked for.
func (i *Identity) Run(ctx context.Context) {
	backOff := firstBackOff
	for ctx.Err() == nil {
		wish := i.wished()
		wait := i.due(wish)
		if wait == 0 {
			if err := i.renew(ctx, wish); err != nil {
				wait, backOff = backOff, min(2*backOff, lastBackOff)
				i.config.Log.Warn("there is no certificate of the mesh", "error", err, "again", wait)
			} else {
				backOff = firstBackOff
				continue
			}
		}
		i.sleep(ctx, wait)
	}
}

func (i *Identity) wished() wish {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.wish
}

// never is how long nothing is to be done for when nothing is wanted.
const never = time.Duration(1<<63 - 1)

// due is how long it is until a certificate is to be asked for. One that is
// not wanted any more is kept while it lasts: the next pod with a sidecar is
// not to wait for another.
func (i *Identity) due(w wish) time.Duration {
	have := i.current.Load()
	switch {
	case !w.wanted || w.roots == "":
		return never
	case have == nil || have.from.roots != w.roots:
		return 0
	}
	return max(time.Until(have.renewAt), 0)
}

// sleep waits, but no longer than until something else is wished for.
func (i *Identity) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.asked:
	case <-ctx.Done():
	}
}

// renew asks for one certificate and makes it the current one.
func (i *Identity) renew(ctx context.Context, w wish) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(w.roots)) {
		return fmt.Errorf("reading the mesh's roots: ConfigMap %s has no certificate in %s", RootsName, rootsKey)
	}
	token, err := i.config.Token(ctx)
	if err != nil {
		return fmt.Errorf("asking for a token: %w", err)
	}
	own := ID{"cluster.local", i.config.Namespace, i.config.Account} // the authority says which domain it is
	cert, err := i.config.issue(ctx, roots, token, own)
	if err != nil {
		return err
	}
	c, err := newCredential(cert, roots, own)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	c.from = w
	i.store(c)
	i.config.Log.Info("has a certificate of the mesh", "id", c.id.String(), "until", c.cert.Leaf.NotAfter)
	return nil
}

func (i *Identity) store(c *credential) {
	i.current.Store(c)
	notify(i.changed)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one look covers many changes
	}
}

// newCredential looks at what the authority has given before it is used.
func newCredential(cert *tls.Certificate, roots *x509.CertPool, want ID) (*credential, error) {
	if len(cert.Certificate) == 0 {
		return nil, errors.New("the chain is empty")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	id, err := idOf(leaf)
	if err != nil {
		return nil, err
	}
	if id.Namespace != want.Namespace || id.Account != want.Account {
		return nil, fmt.Errorf("it is of %s, and not of %s/%s", id, want.Namespace, want.Account)
	}
	cert.Leaf = leaf
	c := &credential{cert: cert, roots: roots, id: id}
	c.renewAt = time.Now().Add(time.Until(leaf.NotAfter) / 2)
	c.server, c.client = c.serverConfig(), c.clientConfig()
	return c, nil
}
