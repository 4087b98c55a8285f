package proxy

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

func TestAddForwarded(t *testing.T) {
	for name, test := range map[string]struct {
		in   http.Header
		want string
	}{
		"nothing known":       {http.Header{}, ""},
		"already there":       {http.Header{"Forwarded": {"for=1.2.3.4"}, "X-Forwarded-For": {"5.6.7.8"}}, "for=1.2.3.4"},
		"a client":            {http.Header{"X-Forwarded-For": {"1.2.3.4"}}, "for=1.2.3.4"},
		"all of a client":     {http.Header{"X-Forwarded-For": {" 1.2.3.4 "}, "X-Forwarded-Host": {"a.example.com"}, "X-Forwarded-Proto": {"https"}}, "for=1.2.3.4;host=a.example.com;proto=https"},
		"a client and a way":  {http.Header{"X-Forwarded-For": {"1.2.3.4, 10.0.0.1,10.0.0.2"}, "X-Forwarded-Proto": {"http"}}, "for=1.2.3.4;proto=http, for=10.0.0.1, for=10.0.0.2"},
		"IPv6":                {http.Header{"X-Forwarded-For": {"2001:db8::1, ::1"}}, `for="[2001:db8::1]", for="[::1]"`},
		"only a protocol":     {http.Header{"X-Forwarded-Proto": {"http"}}, "proto=http"},
		"a hole in the list":  {http.Header{"X-Forwarded-For": {"1.2.3.4, ,5.6.7.8"}}, "for=1.2.3.4, for=5.6.7.8"},
		"an empty one counts": {http.Header{"Forwarded": {" "}, "X-Forwarded-For": {"1.2.3.4"}}, "for=1.2.3.4"},
	} {
		t.Run(name, func(t *testing.T) {
			AddForwarded(test.in)
			if got := test.in.Get("Forwarded"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStripInternal(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{
		"K-Network-Probe", "knative-serving-revision", "KNATIVE-SERVING-NAMESPACE", "K-Proxy-Request",
		"K-Original-Host", "K-Network-Hash", "Devbox-Refused", "X-Other",
	} {
		h.Set(name, "v")
	}
	StripInternal(h)
	if got := slices.Collect(maps.Keys(h)); !slices.Equal(got, []string{"X-Other"}) {
		t.Errorf("left are %v", got)
	}
}

func TestBeginForwarded(t *testing.T) {
	in := &http.Request{RemoteAddr: "[2001:db8::1]:4711"}
	fresh := http.Header{}
	BeginForwarded(in, fresh)
	if fresh.Get("X-Forwarded-For") != "2001:db8::1" || fresh.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("got %v", fresh)
	}
	told := http.Header{"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Proto": {"https"}}
	BeginForwarded(in, told)
	if told.Get("X-Forwarded-For") != "1.2.3.4" || told.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("got %v", told)
	}
}
