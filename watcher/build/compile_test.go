package build

import (
	"slices"
	"testing"
)

func TestCompilerOutputBecomesDiagnostics(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		want   []Diagnostic
		text   string
	}{
		"below and beside the folder of the build": {
			output: "# example.com/app/cmd/web\n./main.go:7:2: undefined: x\n# example.com/lib\n../lib/lib.go:1:1: expected 'package', found 'EOF'\n",
			want: []Diagnostic{
				{"app/main.go", 7, 2, "undefined: x"},
				{"lib/lib.go", 1, 1, "expected 'package', found 'EOF'"},
			},
			text: "app/main.go:7:2: undefined: x\nlib/lib.go:1:1: expected 'package', found 'EOF'",
		},
		"outside the working directory": {
			output: "/usr/share/x.go:3: syntax error\n",
			want:   []Diagnostic{{"/usr/share/x.go", 3, 0, "syntax error"}},
			text:   "/usr/share/x.go:3: syntax error",
		},
		"continued": {
			output: "./a.go:1:2: cannot use x as y:\n\tmissing method Z\ntoo many errors\n",
			want:   []Diagnostic{{"app/a.go", 1, 2, "cannot use x as y:\n\tmissing method Z"}},
			text:   "app/a.go:1:2: cannot use x as y:\n\tmissing method Z\ntoo many errors",
		},
		"missing module": {
			output: "main.go:4:2: no required module provides package example.com/y; to add it:\n\tgo get example.com/y\n",
			want:   []Diagnostic{{"app/main.go", 4, 2, "no required module provides package example.com/y; to add it:\n\tgo get example.com/y"}},
			text:   "app/main.go:4:2: no required module provides package example.com/y; to add it:\n\tgo get example.com/y",
		},
		"go.mod": {
			output: "go: errors parsing go.mod:\ngo.mod:3: unknown directive: rquire\n",
			want:   []Diagnostic{{"app/go.mod", 3, 0, "unknown directive: rquire"}},
			text:   "go: errors parsing go.mod:\napp/go.mod:3: unknown directive: rquire",
		},
		"no place at all": {
			output: "package example.com/app is not a main package\n",
			text:   "package example.com/app is not a main package",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newCompileError("example.com/app", "/home/me/app", "/home/me", c.output)
			if !slices.Equal(e.Diagnostics, c.want) {
				t.Errorf("diagnostics %q\nwant %q", e.Diagnostics, c.want)
			}
			if e.Output != c.text {
				t.Errorf("output %q\nwant %q", e.Output, c.text)
			}
		})
	}
}
