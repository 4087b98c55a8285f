package recipe

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// exports sums up what the packages that import one see of it: the first
// member of its archive, but for the build ID, which names how it was made.
func exports(archive string) ([sha256.Size]byte, error) {
	data, err := firstMember(archive)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("reading the export data in %s: %w", archive, err)
	}
	head, rest, ok := bytes.Cut(data, []byte("\n$$B"))
	if !ok {
		return [sha256.Size]byte{}, fmt.Errorf("reading the export data in %s: it has none", archive)
	}
	h := sha256.New()
	for line := range bytes.Lines(head) {
		if !bytes.HasPrefix(line, []byte("build id ")) {
			h.Write(line)
		}
	}
	h.Write(rest)
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// firstMember is __.PKGDEF of an archive as ar(1) makes them: a line, and a
// header of 60 bytes before each member, in which 10 at offset 48 are its size.
func firstMember(archive string) ([]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	head := make([]byte, len("!<arch>\n")+60)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	header, ok := bytes.CutPrefix(head, []byte("!<arch>\n"))
	if !ok || !bytes.HasPrefix(header, []byte("__.PKGDEF")) {
		return nil, errors.New("it is no archive of a Go package")
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the size of its first member: %w", err)
	}
	return io.ReadAll(io.LimitReader(in, size))
}
