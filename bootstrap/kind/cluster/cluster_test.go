package cluster

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("not as in %s (go test -update writes it anew):\n%s", path, got)
	}
}

func TestConfig(t *testing.T) {
	for name, spec := range map[string]Spec{
		"plain.yaml":    {Image: DefaultImage, HTTPPort: 8080, RegistryPort: 5001, APIPort: 40000},
		"cgroupv1.yaml": {Image: "devbox.local/node:v1-abc", HTTPPort: 8081, RegistryPort: 5002, APIPort: 40001, BuiltinCNI: true, CgroupV1: true},
	} {
		got, err := yaml.Marshal(spec.config("devbox"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got)
	}
}

func TestSetup(t *testing.T) {
	golden(t, "setup.sh", []byte(setup(5002)))
}

func TestStateOfAContainer(t *testing.T) {
	spec := Spec{HTTPPort: 8080, RegistryPort: 5001, APIPort: 40000}
	ports := func(http, registry, api string) string {
		return `"HostConfig":{"PortBindings":{"31080/tcp":[{"HostIp":"127.0.0.1","HostPort":"` + http + `"}],"5001/tcp":[{"HostPort":"` + registry + `"}],"6443/tcp":[{"HostPort":"` + api + `"}]}}`
	}
	for name, c := range map[string]struct {
		inspect string
		want    State
	}{
		"running":                 {`[{"State":{"Running":true},` + ports("8080", "5001", "40000") + `}]`, Running},
		"stopped":                 {`[{"State":{"Running":false},` + ports("8080", "5001", "40000") + `}]`, Stopped},
		"of another box":          {`[{"State":{"Running":true},` + ports("8081", "5001", "40000") + `}]`, Foreign},
		"API on another port":     {`[{"State":{"Running":true},` + ports("8080", "5001", "40001") + `}]`, Foreign},
		"made by kind's own user": {`[{"State":{"Running":true},"HostConfig":{"PortBindings":{"6443/tcp":[{"HostPort":"40000"}]}}}]`, Foreign},
		"gone in between":         {`[]`, Absent},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := inspected(c.inspect, spec)
			if err != nil || got != c.want {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestLoggerTellsPhases(t *testing.T) {
	var said []string
	l := logger{func(s string) { said = append(said, s) }}
	l.V(0).Infof("Creating cluster %q ...\n", "devbox")
	l.V(0).Infof(" • %s  ...\n", "Ensuring node image (kindest/node:v1.37.0) 🖼️")
	l.V(0).Infof(" ✓ %s\n", "Ensuring node image (kindest/node:v1.37.0) 🖼️")
	l.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	l.V(3).Info("kubeadm says a lot")
	want := []string{"Ensuring node image (kindest/node:v1.37.0)", "Starting control-plane"}
	if len(said) != len(want) || said[0] != want[0] || said[1] != want[1] {
		t.Errorf("got %q, want %q", said, want)
	}
}
