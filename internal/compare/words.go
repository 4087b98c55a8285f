package compare

import (
	"fmt"
	"strings"
	"time"
)

// words says what the serving stack adds and what it takes, out of what was
// measured and nothing else.
func words(r *Report) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	serving, mesh, istio, sidecar := r.variant("serving"), r.variant("serving-mesh"), r.variant("istio"), r.variant("istio-sidecar")
	say("The serving stack gives: %s", gives(serving, mesh, istio))
	say("It takes: %s without a sidecar, and with one %s.", slower(r.difference("istio", "serving")), slower(r.difference("istio-sidecar", "serving-mesh")))
	say("Beside that it takes %s MiB in each pod (queue-proxy), %s MiB once for all services (activator), and %s of CPU for a request.",
		mib(serving.of("queue-proxy").Memory), mib(serving.of(activatorPods.name).Memory), more(serving.cpu()-istio.cpu()))
	say("As fast as it goes, it answers %.0f requests a second where Istio alone answers %.0f; with sidecars %.0f, and %.0f.",
		serving.PerSecond, istio.PerSecond, mesh.PerSecond, sidecar.PerSecond)
	say("A sidecar takes: %s of Istio alone, and %s of the serving stack; %s MiB in each pod, and %s of CPU for a request.",
		slower(r.difference("istio", "istio-sidecar")), slower(r.difference("serving", "serving-mesh")),
		mib(sidecar.of("istio-proxy").Memory), more(sidecar.cpu()-istio.cpu()))
	if failed := failures(r); failed != "" {
		say("Not every request was answered with a success: %s.", failed)
	}
	return all
}

// gives is what there is in return.
func gives(serving, mesh, istio *Result) string {
	if serving.Idle.Pods > 0 || serving.Cold == nil || mesh.Cold == nil {
		return "nothing that was seen here, as its pods have not gone while nobody asked."
	}
	return fmt.Sprintf("while nobody asks it has no pod, where Istio alone keeps %s and %s MiB. The request that finds none waits for it: %s, with a sidecar %s.",
		plural(istio.Idle.Pods, "pod"), mib(istio.Idle.Memory), millis(*serving.Cold), millis(*mesh.Cold))
}

// slower says what a difference is, of the median request.
func slower(d Difference) string {
	switch {
	case !d.Beyond:
		return "no time beyond the noise"
	case d.By < 0:
		return fmt.Sprintf("no time (it is %s faster)", millis(-d.By))
	}
	return fmt.Sprintf("%s of the median request", millis(d.By))
}

// more is CPU time that is taken beside another.
func more(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%s µs less", micros(-d))
	}
	return fmt.Sprintf("%s µs more", micros(d))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// failures names the variants that had some.
func failures(r *Report) string {
	var said []string
	for _, v := range r.Variants {
		if v.Failed > 0 {
			said = append(said, fmt.Sprintf("%d of %d of %s", v.Failed, v.Requests, v.Variant))
		}
	}
	return strings.Join(said, ", ")
}
