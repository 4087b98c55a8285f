package istio

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRules: the rules that a sidecar of the template devbox gives to the
// kernel are those that Istio's own tool made in a pod, as iptables-save
// printed them there.
func TestRules(t *testing.T) {
	data, err := values.ReadFile("values/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		SidecarInjectorWebhook struct{ Templates map[string]string }
	}
	if err := yaml.Unmarshal(data, &said); err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(?s)rules\(\) \{\n.*?\n +\}\n`).FindString(said.SidecarInjectorWebhook.Templates["devbox"])
	cmd := exec.Command("sh", "-ec", function+"rules")
	cmd.Env = append(os.Environ(), "EXCLUDED=15008,15090,15021,15020")
	given, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v of\n%s", err, function)
	}
	saved, err := os.ReadFile("../../internal/netfilter/testdata/sidecar.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, want := appended(string(given)), appended(string(saved))
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// appended are the rules of a table, by chain and then in their order, without
// counts and without what iptables adds by itself.
func appended(table string) []string {
	var rules []string
	for line := range strings.Lines(table) {
		if _, rule, ok := strings.Cut(strings.TrimSpace(line), "-A "); ok {
			rules = append(rules, strings.ReplaceAll(rule, " -m tcp", ""))
		}
	}
	chain := func(rule string) string { name, _, _ := strings.Cut(rule, " "); return name }
	slices.SortStableFunc(rules, func(a, b string) int { return strings.Compare(chain(a), chain(b)) })
	return rules
}
