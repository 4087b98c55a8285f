package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Execer runs a command in the box's node.
type Execer interface {
	Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, command ...string) error
}

// Present returns the names of the images that the node has.
func Present(ctx context.Context, node Execer) (map[string]bool, error) {
	var out bytes.Buffer
	if err := node.Exec(ctx, nil, &out, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet"); err != nil {
		return nil, fmt.Errorf("listing the node's images: %w", err)
	}
	present := map[string]bool{}
	for _, ref := range strings.Fields(out.String()) {
		present[ref] = true
	}
	return present, nil
}

// Import streams img into the node, where it is called ref from then on. ctr
// does the work itself (--local): handing the stream on to containerd's
// transfer service takes twice the time.
func Import(ctx context.Context, node Execer, ref string, img v1.Image) error {
	err := stream(
		func(w io.Writer) error { return writeArchive(w, ref, img) },
		func(r io.Reader) error {
			return node.Exec(ctx, r, io.Discard, "ctr", "--namespace=k8s.io", "images", "import", "--local", "-")
		})
	if err != nil {
		return fmt.Errorf("importing %s into the node: %w", ref, err)
	}
	return nil
}

// stream runs write and read at the two ends of a pipe until both are done.
// Where one fails the other is made to, and the error is that of the first.
func stream(write func(io.Writer) error, read func(io.Reader) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err)
		written <- err
	}()
	err := read(r)
	_ = r.Close() // never fails
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return werr
	}
	return err
}

// Pull makes the node fetch ref from its container registry.
func Pull(ctx context.Context, node Execer, ref string) error {
	if err := node.Exec(ctx, nil, io.Discard, "crictl", "pull", ref); err != nil {
		return fmt.Errorf("pulling %s into the node: %w", ref, err)
	}
	return nil
}

// Provide sees to it that the node has the set's image of that role, given
// what is Present there, and says whether it had to be brought.
func (s Set) Provide(ctx context.Context, node Execer, r Role, present map[string]bool) (brought bool, err error) {
	if present[s.Ref(r)] {
		return false, nil
	}
	if s.Layout == "" {
		return true, Pull(ctx, node, s.Ref(r))
	}
	img, err := s.Open(r)
	if err != nil {
		return false, err
	}
	return true, Import(ctx, node, s.Ref(r), img)
}
