package queue

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// logTemplate is a template of the request log. It reads what such templates
// are made of, in text/template's spelling:
//
//	{{.Request.Method}}  {{js .Request.UserAgent}}  {{.Request.Header.Get "X"}}  {{index .Request.Header "X"}}
//
// The package itself would make queue-proxy a quarter larger in every pod,
// most of it methods that nobody calls: a template may, so none is left out.
type logTemplate []func(*logEntry) string

// logEntry is what a template can tell: Knative's fields, by Knative's names.
type logEntry struct {
	Request  *http.Request
	Response logResponse
	Revision logRevision
}

type logResponse struct {
	Code    int
	Size    int     // of the body
	Latency float64 // in seconds
}

type logRevision struct{ Name, Namespace, Service, Configuration, PodName, PodIP string }

var logFields = map[string]func(*logEntry) string{
	".Request.Method":         func(e *logEntry) string { return e.Request.Method },
	".Request.RequestURI":     func(e *logEntry) string { return e.Request.RequestURI },
	".Request.URL":            func(e *logEntry) string { return e.Request.URL.String() },
	".Request.Host":           func(e *logEntry) string { return e.Request.Host },
	".Request.Proto":          func(e *logEntry) string { return e.Request.Proto },
	".Request.RemoteAddr":     func(e *logEntry) string { return e.Request.RemoteAddr },
	".Request.ContentLength":  func(e *logEntry) string { return strconv.FormatInt(e.Request.ContentLength, 10) },
	".Request.UserAgent":      func(e *logEntry) string { return e.Request.UserAgent() },
	".Request.Referer":        func(e *logEntry) string { return e.Request.Referer() },
	".Response.Code":          func(e *logEntry) string { return strconv.Itoa(e.Response.Code) },
	".Response.Size":          func(e *logEntry) string { return strconv.Itoa(e.Response.Size) },
	".Response.Latency":       func(e *logEntry) string { return fmt.Sprint(e.Response.Latency) },
	".Revision.Name":          func(e *logEntry) string { return e.Revision.Name },
	".Revision.Namespace":     func(e *logEntry) string { return e.Revision.Namespace },
	".Revision.Service":       func(e *logEntry) string { return e.Revision.Service },
	".Revision.Configuration": func(e *logEntry) string { return e.Revision.Configuration },
	".Revision.PodName":       func(e *logEntry) string { return e.Revision.PodName },
	".Revision.PodIP":         func(e *logEntry) string { return e.Revision.PodIP },
	".TraceID":                func(e *logEntry) string { return traceID(e.Request) },
}

// parseLogTemplate reads a template.
func parseLogTemplate(text string) (logTemplate, error) {
	var t logTemplate
	for {
		before, rest, more := strings.Cut(text, "{{")
		t = append(t, func(*logEntry) string { return before })
		if !more {
			return t, nil
		}
		action, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, errors.New("a {{ has no }}")
		}
		value, err := parseAction(strings.TrimSpace(action))
		if err != nil {
			return nil, err
		}
		t, text = append(t, value), after
	}
}

func parseAction(action string) (func(*logEntry) string, error) {
	if inner, ok := strings.CutPrefix(action, "js "); ok {
		value, err := parseAction(strings.Trim(inner, " ()"))
		return func(e *logEntry) string { return escaped(value(e)) }, err
	}
	if value, ok := logFields[action]; ok {
		return value, nil
	}
	if quoted, ok := strings.CutPrefix(action, ".Request.Header.Get "); ok {
		if name, err := strconv.Unquote(quoted); err == nil {
			return func(e *logEntry) string { return e.Request.Header.Get(name) }, nil
		}
	}
	if quoted, ok := strings.CutPrefix(action, "index .Request.Header "); ok {
		if name, err := strconv.Unquote(quoted); err == nil {
			return func(e *logEntry) string { return fmt.Sprint(e.Request.Header[name]) }, nil
		}
	}
	return nil, fmt.Errorf(`{{%s}} is nothing that a request log knows: there are %s, .Request.Header.Get "NAME", index .Request.Header "NAME", and js before any of them`,
		action, strings.Join(slices.Sorted(maps.Keys(logFields)), ", "))
}

// escaped is text as it stands between quotes, in JSON too.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\' || r == '"':
			b.WriteByte('\\')
			b.WriteRune(r)
		case strings.ContainsRune("'<>&=", r) || !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (t logTemplate) line(e *logEntry) string {
	var b strings.Builder
	for _, piece := range t {
		b.WriteString(piece(e))
	}
	b.WriteByte('\n')
	return b.String()
}

// traceID is the second field of a W3C traceparent.
func traceID(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Traceparent"), "-")
	id, _, _ := strings.Cut(rest, "-")
	return id
}
