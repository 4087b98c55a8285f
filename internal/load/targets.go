package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/net/http/httpguts"
)

// Target is a request to make: vegeta's own.
type Target vegeta.Target

// Site is what targets may be: the hosts of one box.
type Site struct {
	Gateway string   // host:port
	Host    string   // of a target that names none
	Hosts   []string // all that the box answers to
}

// Aim completes a target and refuses one that is not of the box. A URL may be a
// path, name one of the box's hosts, or name the gateway and the host in a Host
// header. What comes of it names the host in the URL.
func (s Site) Aim(t Target) (Target, error) {
	if !httpguts.ValidHeaderFieldName(t.Method) || t.Method != strings.ToUpper(t.Method) || t.Method == http.MethodConnect {
		return t, fmt.Errorf("%q is no method to make a load of", t.Method)
	}
	u, err := url.ParseRequestURI(t.URL)
	if err != nil {
		return t, fmt.Errorf("%q is no path and no URL", t.URL)
	}
	if u.Host == "" && u.Scheme == "" {
		u.Scheme, u.Host = "http", s.Gateway
	}
	if u.Scheme != "http" || u.User != nil {
		return t, fmt.Errorf("%s is no target: the gateway of a box takes plain http, without a user in the URL", t.URL)
	}
	t.Header = maps.Clone(t.Header)
	asked := ""
	for name, values := range t.Header {
		if http.CanonicalHeaderKey(name) == "Host" {
			asked = values[len(values)-1]
			delete(t.Header, name)
		}
	}
	if u.Host, err = s.host(u.Host, asked); err != nil {
		return t, err
	}
	t.URL = u.String()
	return t, nil
}

// host is the host that a URL and a Host header mean together.
func (s Site) host(ofURL, asked string) (string, error) {
	if !s.isGateway(ofURL) {
		if err := s.has(ofURL); err != nil {
			return "", err
		}
		if asked == "" {
			return ofURL, nil
		}
	}
	if asked == "" {
		return s.Host, nil
	}
	return asked, s.has(asked)
}

// isGateway says that a URL names the gateway itself.
func (s Site) isGateway(host string) bool {
	_, port, err := net.SplitHostPort(s.Gateway)
	return err == nil && (host == s.Gateway || host == net.JoinHostPort("localhost", port))
}

// has refuses a host, with or without a port, that is not of the box.
func (s Site) has(host string) error {
	name := host
	if bare, port, err := net.SplitHostPort(host); err == nil {
		if _, ours, err := net.SplitHostPort(s.Gateway); err != nil || port != ours && port != "80" {
			return fmt.Errorf("%s is no target: the gateway of this box is %s", host, s.Gateway)
		}
		name = bare
	}
	if slices.Contains(s.Hosts, strings.ToLower(strings.TrimSuffix(name, "."))) {
		return nil
	}
	return fmt.Errorf("%s is no host of this box, such as %s, and nothing else is ever a target", host, s.Host)
}

// ParseHeader reads a header as curl and vegeta write it.
func ParseHeader(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !ok || value == "":
		return "", "", fmt.Errorf("%q is no header: it is a name, a colon and a value", text)
	case !httpguts.ValidHeaderFieldName(name):
		return "", "", fmt.Errorf("%q is no header: %q cannot be the name of one", text, name)
	case !httpguts.ValidHeaderFieldValue(value):
		return "", "", fmt.Errorf("%q is no header: its value has control characters", text)
	}
	return name, value, nil
}

// ReadTargets reads targets in vegeta's http format and aims each. Header and
// body are those of a target that has none. Errors name the line of the file.
func (s Site) ReadTargets(file string, in io.Reader, header http.Header, body []byte) ([]Target, error) {
	lines := &lineReader{in: bufio.NewReader(in)}
	read := vegeta.NewHTTPTargeter(lines, body, header)
	var targets []Target
	for at := 0; ; {
		var t vegeta.Target
		err := read(&t)
		if errors.Is(lines.err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("%s:%d: a line of more than %d KiB", file, len(lines.read), bufio.MaxScanTokenSize>>10)
		}
		if errors.Is(err, vegeta.ErrNoTargets) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, len(lines.read), err)
		}
		at = lines.find(t.Method+" "+t.URL, at)
		aimed, err := s.Aim(Target(t))
		if err == nil {
			err = checkHeader(aimed.Header)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, at, err)
		}
		targets = append(targets, aimed)
	}
	switch {
	case !errors.Is(lines.err, io.EOF):
		return nil, fmt.Errorf("reading the targets in %s: %w", file, lines.err)
	case len(targets) == 0:
		return nil, fmt.Errorf("%s: there is no target in it; one is a line such as %q, with headers below it", file, "GET /")
	}
	return targets, nil
}

func checkHeader(header http.Header) error {
	for name, values := range header {
		for _, value := range values {
			if _, _, err := ParseHeader(name + ": " + value); err != nil {
				return err
			}
		}
	}
	return nil
}

// lineReader gives one line a Read, so that how far its reader has come is
// known.
type lineReader struct {
	in   *bufio.Reader
	rest []byte
	read []string // lines begun
	err  error
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		if l.rest, l.err = l.in.ReadBytes('\n'); len(l.rest) == 0 {
			return 0, l.err
		}
		l.read = append(l.read, string(bytes.TrimSpace(l.rest)))
		if len(l.rest) >= bufio.MaxScanTokenSize {
			l.rest, l.err = nil, bufio.ErrTooLong // vegeta would take it for the end
			return 0, l.err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// find is the number of the first line after one that says text.
func (l *lineReader) find(text string, after int) int {
	for i := after; i < len(l.read); i++ {
		if l.read[i] == text {
			return i + 1
		}
	}
	return len(l.read)
}
