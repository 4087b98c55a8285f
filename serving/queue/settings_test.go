package queue

import (
	"strings"
	"testing"
)

func TestParseRequestLog(t *testing.T) {
	for name, test := range map[string]struct {
		data map[string]string
		want RequestLog
		err  string // what the error names
	}{
		"nothing":                 {},
		"on":                      {data: map[string]string{requestsKey: "true"}, want: RequestLog{Template: standard}},
		"on, with probes":         {data: map[string]string{requestsKey: "true", probesKey: "true"}, want: RequestLog{standard, true}},
		"a template":              {data: map[string]string{requestsKey: "1", templateKey: "{{.TraceID}}"}, want: RequestLog{Template: "{{.TraceID}}"}},
		"a template, off":         {data: map[string]string{templateKey: "{{.TraceID}}", probesKey: "true"}},
		"no template, off":        {data: map[string]string{requestsKey: "false", templateKey: ""}},
		"of upstream's others":    {data: map[string]string{"metrics-protocol": "grpc", "_example": "{{"}},
		"no template, on":         {data: map[string]string{requestsKey: "true", templateKey: ""}, err: templateKey},
		"a wrong template, off":   {data: map[string]string{templateKey: "{{.Nothing}}"}, err: templateKey + ": {{.Nothing}}"},
		"a header without quotes": {data: map[string]string{templateKey: "{{js (index .Request.Header Via)}}"}, err: "{{index .Request.Header Via}}"},
		"not a truth":             {data: map[string]string{requestsKey: "yes"}, err: requestsKey + `: "yes"`},
		"everything wrong":        {data: map[string]string{requestsKey: "true", probesKey: "", templateKey: "{{"}, err: probesKey},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRequestLog(test.data)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want one with %q", err, test.err)
			}
		})
	}
}
