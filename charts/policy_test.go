package charts_test

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// policy is the chart's admission policy for metadata, compiled as an API
// server does it.
func policy(t *testing.T) validating.Validator {
	t.Helper()
	var p admissionregistrationv1.ValidatingAdmissionPolicy
	for doc := range strings.SplitSeq(render(t, nil), "---\n") {
		if strings.Contains(doc, "kind: ValidatingAdmissionPolicy\nmetadata:\n  name: metadata.") {
			if err := yaml.UnmarshalStrict([]byte(doc), &p); err != nil {
				t.Fatal(err)
			}
		}
	}
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true, HasParams: true}
	var variables []cel.NamedExpressionAccessor
	for _, v := range p.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	compiler.CompileAndStoreVariables(variables, options, environment.NewExpressions)
	rules := make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	messages := make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	for i, v := range p.Spec.Validations {
		rules[i] = &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		if v.MessageExpression != "" {
			messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
	}
	return validating.NewValidator(
		compiler.CompileCondition(rules, options, environment.NewExpressions), nil,
		compiler.CompileCondition(nil, options, environment.NewExpressions),
		compiler.CompileCondition(messages, cel.OptionalVariableDeclarations{HasParams: true}, environment.NewExpressions),
		p.Spec.FailurePolicy, nil)
}

// judge is what the policy has against a new object, in a box whose
// ConfigMaps have nothing but defaults.
func judge(t *testing.T, p validating.Validator, obj map[string]any) []string {
	t.Helper()
	return judgeIn(t, p, nil, obj)
}

// judgeIn is the same where the box's ConfigMaps say something.
func judgeIn(t *testing.T, p validating.Validator, box map[string]string, obj map[string]any) []string {
	t.Helper()
	u := &unstructured.Unstructured{Object: obj}
	kind := u.GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s"}
	attributes := &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(u, nil, kind, u.GetNamespace(), u.GetName(), resource, "",
			admission.Create, nil, false, nil),
		VersionedObject: admission.NewLazyObject(u), VersionedKind: kind,
	}
	var said []string
	for _, d := range p.Validate(t.Context(), resource, attributes, &corev1.ConfigMap{Data: box}, nil, celconfig.RuntimeCELCostBudget, nil).Decisions {
		if d.Action != validating.ActionAdmit {
			said = append(said, d.Message)
		}
	}
	return said
}

func TestPolicy(t *testing.T) {
	p := policy(t)
	for _, c := range []struct{ name, object, want string }{
		{"a service without annotations", `{kind: Service, metadata: {name: a}, spec: {template: {spec: {}}}}`, ""},
		{"every annotation at its edge", `{kind: Service, metadata: {name: a}, spec: {template: {metadata: {annotations: {
			autoscaling.knative.dev/class: kpa.autoscaling.knative.dev,
			autoscaling.knative.dev/min-scale: "2", autoscaling.knative.dev/maxScale: "2",
			autoscaling.knative.dev/initial-scale: "1", autoscaling.knative.dev/activation-scale: "2",
			autoscaling.knative.dev/target: "0.01", autoscaling.knative.dev/targetUtilizationPercentage: "100",
			autoscaling.knative.dev/target-burst-capacity: "-1", autoscaling.knative.dev/window: 1h,
			autoscaling.knative.dev/panic-window-percentage: "1", autoscaling.knative.dev/panic-threshold-percentage: "1000.0",
			autoscaling.knative.dev/scale-down-delay: "0", autoscaling.knative.dev/scale-to-zero-pod-retention-period: 1m30s,
			autoscaling.knative.dev/metric-aggregation-algorithm: weighted-exponential,
			serving.knative.dev/progress-deadline: 2m}}}}}`, ""},
		{"a revision's own annotations", `{kind: Revision, metadata: {annotations: {autoscaling.knative.dev/min-scale: "1"}}, spec: {}}`, ""},
		{"a revision's wrong annotation", `{kind: Revision, metadata: {annotations: {autoscaling.knative.dev/window: 1s}}, spec: {}}`,
			`metadata.annotations[autoscaling.knative.dev/window]: "1s": must be a duration of whole seconds from 6s to 1h`},
		{"a route's annotation", `{kind: Route, metadata: {annotations: {autoscaling.knative.dev/window: 1m}}, spec: {}}`,
			"metadata.annotations: autoscaling annotations belong under spec.template.metadata.annotations"},
		{"an older spelling", `{kind: Configuration, metadata: {name: a}, spec: {template: {metadata: {annotations: {autoscaling.knative.dev/minScale: "3", autoscaling.knative.dev/max-scale: "2"}}}}}`,
			"spec.template.metadata.annotations[autoscaling.knative.dev/min-scale]: 3: must be at most max-scale, 2"},
	} {
		var obj map[string]any
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(c.object, "\t", " ")), &obj); err != nil {
			t.Fatal(err)
		}
		obj["apiVersion"] = servingv1.GroupVersion.String()
		got := strings.Join(judge(t, p, obj), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPolicyNamesTheWrongAnnotation: each annotation that is wrong is named as it is
// spelled, with its value and what it must be; the right ones beside it are not.
func TestPolicyNamesTheWrongAnnotation(t *testing.T) {
	p := policy(t)
	right := map[string]string{"min-scale": "1", "max-scale": "2", "window": "10s"}
	for name, must := range map[string]string{
		"min-scale": "a whole number from 0", "maxScale": "a whole number from 0", "initial-scale": "a whole number from 0",
		"activation-scale": "a whole number from 2", "target": "a number, at least 0.01",
		"target-utilization-percentage": "a number from 1 to 100", "panicWindowPercentage": "a number from 1 to 100",
		"panic-threshold-percentage": "a number from 110 to 1000", "targetBurstCapacity": "-1 for no limit",
		"window": "a duration of whole seconds from 6s to 1h", "scale-down-delay": "a duration of whole seconds from 0s to 1h",
		"scaleToZeroPodRetentionPeriod": "a duration of whole seconds from 0s to 1h",
		"metric-aggregation-algorithm":  "one of linear, weighted-exponential",
		"class":                         "kpa.autoscaling.knative.dev", "metric": "one of concurrency, rps",
	} {
		annotations := map[string]any{}
		for key, value := range right {
			annotations[servingv1.AutoscalingPrefix+key] = value
		}
		annotations[servingv1.AutoscalingPrefix+name] = "x"
		got := judge(t, p, map[string]any{
			"apiVersion": servingv1.GroupVersion.String(), "kind": "Service", "metadata": map[string]any{"name": "a"},
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotations}}},
		})
		want := "spec.template.metadata.annotations[" + servingv1.AutoscalingPrefix + name + `]: "x": must be ` + must
		if len(got) != 1 || !strings.HasPrefix(got[0], want) || strings.Contains(got[0], "; ") {
			t.Errorf("got %q, want %q alone", got, want)
		}
	}
}

// TestPolicyReadsRolloutDurations as devbox does, which reads them as Knative does.
func TestPolicyReadsRolloutDurations(t *testing.T) {
	p := policy(t)
	object := func(kind, key, value string) map[string]any {
		return map[string]any{
			"apiVersion": servingv1.GroupVersion.String(), "kind": kind,
			"metadata": map[string]any{"name": "a", "annotations": map[string]any{servingv1.GroupName + "/" + key: value}}, "spec": map[string]any{},
		}
	}
	for _, value := range []string{
		"", "0", "0s", "60s", "2m", "1h30m", "1h1m1s", "1.5m", "0.5h", "1000ms", "2000000us", "+5s", "720h", "999999h", "1s1s",
		"60", "-60s", "soon", "1.5s", "100ms", "1500ms", "1ns", "s", "1d", " 60s", "60s ", "1,5m", "99999999999999h",
	} {
		for _, key := range []string{"rollout-duration", "rolloutDuration"} {
			_, err := servingv1.RolloutDuration(map[string]string{servingv1.GroupName + "/" + key: value})
			for _, kind := range []string{"Service", "Route"} {
				got := judge(t, p, object(kind, key, value))
				want := "metadata.annotations[serving.knative.dev/" + key + `]: "` + value + `": must be a duration of whole seconds, such as 90s or 2m`
				if (err == nil) != (len(got) == 0) || err != nil && (len(got) != 1 || got[0] != want) {
					t.Errorf("%s, %s: %q: %v by devbox, %q by the server", kind, key, value, err, got)
				}
			}
		}
	}
	const nowhere = "metadata.annotations[serving.knative.dev/rollout-duration]: belongs under metadata.annotations of a Service or a Route"
	if got := judge(t, p, object("Configuration", "rollout-duration", "60s")); len(got) != 1 || got[0] != nowhere {
		t.Errorf("on a Configuration: %q", got)
	}
	ofAService := object("Configuration", "rollout-duration", "60s")
	ofAService["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": servingv1.GroupVersion.String(), "kind": "Service", "name": "a", "uid": "u"}}
	if got := judge(t, p, ofAService); len(got) != 0 {
		t.Errorf("on a Service's Configuration: %q", got)
	}
}
