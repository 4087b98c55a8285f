//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

const (
	host = "hello.default.example.com"
	soon = 90 * time.Second // for what takes seconds on a quiet machine
)

// TestBox is one box's life from nothing to nothing. Each story goes on where
// the one before it ended, as a working day does.
func TestBox(t *testing.T) {
	b := box.New(t, "devbox-e2e")
	dir := box.Project(t, "hello")
	d := &day{Box: b, t: t, dir: dir, main: filepath.Join(dir, "main.go"), answer: "Hello World!"}
	d.up = b.Up("--port", "18080", dir)

	for _, story := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"from nothing to an answer", d.firstAnswer},
		{"an edit answers, and no request fails on the way", d.edit},
		{"a pod that stands by serves the next revision until the pod of the manifest does", d.standBy},
		{"a second up of a box in use is refused", d.secondUpIsRefused},
		{"code that does not compile keeps the last good answer", d.brokenEdit},
		{"a crashing revision takes no traffic and shows its log", d.crashingEdit},
		{"a revision that never listens takes no traffic", d.deafEdit},
		{"a manifest edit makes a revision without a build", d.manifestEdit},
		{"a revision whose probe fails takes no traffic", d.failingProbe},
		{"ten saves, one of them broken: no request fails, and no answer is older than what is live", d.tenSaves},
		{"a roll back stays until it is released, whatever is saved", d.rollBack},
		{"a pod has its ports to itself, and finds others by name", d.ownNetwork},
		{"to zero pods and back on a request", d.zeroAndBack},
		{"a trace of a cold start shows every step", d.trace},
		{"Ctrl-C leaves the box answering", d.interrupt},
		{"a second up finds everything there", d.secondUp},
		{"the commands that report", d.reports},
		{"traffic is divided, and goes back when it is released", d.divided},
		{"a release is deployed", d.released},
		{"a service finds the Postgres of this machine", d.database},
		{"a service has its Postgres beside it, or the reason why it has none", d.databaseBeside},
		{"a command in a pod", d.command},
		{"the loop is measured, and leaves nothing behind", d.measured},
		{"to others who know its kubeconfig it is a cluster that is there already", d.guests},
		{"a stopped box is started again", d.stoppedBox},
		{"down leaves nothing", d.down},
	} {
		if !t.Run(story.name, story.tell) {
			t.FailNow()
		}
	}
}

// day is what the stories hand to each other.
type day struct {
	*box.Box
	t      *testing.T
	up     *box.Session
	dir    string
	main   string
	answer string // of the last good revision
}

func live(e event.Event) bool { return e.Kind == event.RevisionLive }

func (d *day) expect(t *testing.T, want string) {
	t.Helper()
	status, body, err := d.Get(host, "/")
	if err != nil || status != http.StatusOK || body != want {
		t.Fatalf("GET %s: status %d, body %q, error %v; want 200 %q", host, status, body, err, want)
	}
}

// save edits main.go and waits until the new revision is live.
func (d *day) save(t *testing.T, old, replacement string) event.Event {
	t.Helper()
	mark := d.up.Mark()
	box.Edit(t, d.main, old, replacement)
	return d.up.WaitAfter(mark, "the new revision", soon, live)
}

func (d *day) firstAnswer(t *testing.T) {
	e := d.up.Wait("the first revision", soon, live)
	if e.Revision != "hello-00001" || e.Host != host {
		t.Errorf("the first revision is %q on host %q; want hello-00001 on %s", e.Revision, e.Host, host)
	}
	d.expect(t, d.answer)
	status, body, err := d.Get("hello.default.localhost:18080", "/")
	if err != nil || status != http.StatusOK || body != d.answer {
		t.Errorf("GET hello.default.localhost: status %d, body %q, error %v", status, body, err)
	}
	if status, _, err := d.Get("nobody.default.example.com", "/"); err != nil || status != http.StatusNotFound {
		t.Errorf("GET of a host that nobody has: status %d, error %v; want 404", status, err)
	}
}

func (d *day) edit(t *testing.T) {
	poll := d.Poll(host, 10*time.Millisecond)
	e := d.save(t, `"Hello `, `"Howdy `)
	d.answer = "Howdy World!"
	d.expect(t, d.answer) // live means the very next answer is new
	e2 := d.save(t, `"Howdy `, `"Hej `)
	d.answer = "Hej World!"
	d.expect(t, d.answer)
	box.Eventually(t, "the old revisions have no pods left", func() bool { // they drain while the client goes on
		return d.Pods() == 1
	})
	requests, failures, bodies := poll.Stop()
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed during two edits:\n%s", len(failures), requests, strings.Join(failures, "\n"))
	}
	if want := []string{"Hello World!", "Howdy World!", "Hej World!"}; !slices.Equal(bodies, want) {
		t.Errorf("the answers were %q; want %q, each for good", bodies, want)
	}
	t.Logf("%d requests, none failed; live in %s %v, then %s %v", requests, e.Duration, e.Phases, e2.Duration, e2.Phases)
	if len(e.Phases) == 0 || !strings.Contains(strings.Join(e.Files, " "), "main.go") {
		t.Errorf("the timing line has phases %v and files %v; want both", e.Phases, e.Files)
	}
}

func (d *day) secondUpIsRefused(t *testing.T) {
	out, code := d.Run("up", "--detach", d.dir)
	if code == 0 || !strings.Contains(out, "in use") && !strings.Contains(out, "another devbox") {
		t.Errorf("a second up beside the first: exit %d, want a refusal that says why:\n%s", code, out)
	}
	d.expect(t, d.answer)
}

func (d *day) brokenEdit(t *testing.T) {
	mark := d.up.Mark()
	box.Edit(t, d.main, "func main() {", "func main() {\n\tundefinedName()")
	e := d.up.WaitAfter(mark, "the compile error", soon, func(e event.Event) bool { return e.Kind == event.BuildFailed })
	if !strings.Contains(e.Error, "undefined: undefinedName") || !strings.Contains(e.Error, "main.go:") {
		t.Errorf("the compile error reads %q; want the compiler's words with file:line:col", e.Error)
	}
	d.expect(t, d.answer)
	d.save(t, "\n\tundefinedName()", "\n\t// mended")
	d.expect(t, d.answer)
}

func (d *day) crashingEdit(t *testing.T) {
	mark := d.up.Mark()
	box.Edit(t, d.main, "\n\t// mended", "\n\tpanic(\"crashed on purpose\")")
	e := d.up.WaitAfter(mark, "the crash", soon, func(e event.Event) bool { return e.Kind == event.RevisionFailed })
	if !strings.Contains(strings.Join(e.Log, "\n"), "crashed on purpose") {
		t.Errorf("the crash shows the log %q; want the container's last words", e.Log)
	}
	d.expect(t, d.answer)
	d.save(t, "\n\tpanic(\"crashed on purpose\")", "\n\t// mended again")
	d.expect(t, d.answer)
}

func (d *day) deafEdit(t *testing.T) {
	mark, hang := d.up.Mark(), "\n\t"+box.IsDeaf.Code
	box.Edit(t, d.main, "\n\t// mended again", hang)
	e := d.up.WaitAfter(mark, "word that nothing listens", soon, func(e event.Event) bool { return e.Kind == event.RevisionSlow })
	if !strings.Contains(e.Message, "does not listen on port") {
		t.Errorf("the screen says %q; want that it does not listen", e.Message)
	}
	d.expect(t, d.answer)
	d.save(t, hang, "\n\t// mended for good")
	d.expect(t, d.answer)
}

func (d *day) manifestEdit(t *testing.T) {
	mark := d.up.Mark()
	box.Edit(t, filepath.Join(d.dir, "service.yaml"), "  template:\n", "  template:\n    metadata:\n      annotations:\n        autoscaling.knative.dev/window: 6s\n")
	d.up.WaitAfter(mark, "the new revision", soon, live)
	d.expect(t, d.answer)
}

// failingProbe asks a program that speaks HTTP/1.1 alone for gRPC.
func (d *day) failingProbe(t *testing.T) {
	const probe = "          readinessProbe: {grpc: {}}\n"
	mark, manifest := d.up.Mark(), filepath.Join(d.dir, "service.yaml")
	box.Edit(t, manifest, "          env:\n", probe+"          env:\n")
	e := d.up.WaitAfter(mark, "word that the probe fails", soon, func(e event.Event) bool { return e.Kind == event.RevisionSlow })
	if !strings.Contains(e.Message, "readiness probe") {
		t.Errorf("the screen says %q; want that it does not pass its readiness probe", e.Message)
	}
	d.expect(t, d.answer)
	mark = d.up.Mark()
	box.Edit(t, manifest, probe, "")
	d.up.WaitAfter(mark, "the revision without the probe", soon, live)
	d.expect(t, d.answer)
}

// tenSaves is a small run of what `make bench` does two hundred times; each of
// them is waited for with `devbox wait`.
func (d *day) tenSaves(t *testing.T) {
	const saves = 10
	e := &box.Editor{
		Box: d.Box, Session: d.up, Service: "hello", Main: d.main, Word: "Hej",
		Kinds: []box.Broken{box.Crashes}, Every: saves, Rate: 100,
	}
	done := e.Save(t, saves)
	if len(done.Failed) > 0 || len(done.Stale) > 0 {
		t.Errorf("of %d requests %d failed, and %d answers are stale:\n%s%s",
			len(done.Requests), len(done.Failed), len(done.Stale), done.Failed.List(), strings.Join(done.Stale, "\n"))
	}
	d.answer = e.Word + " World!"
	d.expect(t, d.answer)
	d.save(t, `"`+e.Word+" ", `"Hej `)
}

func (d *day) rollBack(t *testing.T) {
	d.expect(t, "Hej World!")
	if out, code := d.Run("rollback", "hello"); code != 0 {
		t.Fatalf("devbox rollback: exit %d\n%s", code, out)
	}
	d.expect(t, d.answer) // of the story before
	held := d.save(t, `"Hej `, `"Hold `)
	if !strings.Contains(held.Message, "which is held") || !strings.Contains(held.Hint, "hold --release hello") {
		t.Errorf("a save of a held service is told as %q, %q", held.Message, held.Hint)
	}
	out, code := d.Run("wait", "hello")
	if code != 6 || !strings.Contains(out, "which is held") {
		t.Errorf("devbox wait of a held service: exit %d\n%s", code, out)
	}
	d.expect(t, d.answer)
	if out, code := d.Run("hold", "--release", "hello"); code != 0 {
		t.Fatalf("devbox hold --release: exit %d\n%s", code, out)
	}
	d.expect(t, "Hold World!")
	d.save(t, `"Hold `, `"Hej `)
	d.answer = "Hej World!"
	d.expect(t, d.answer)
}

// ownNetwork edits a program with a second listener, on a fixed port, twice: the
// old pod and the new one have it at the same time. Then the port that the
// manifest says is one that the program does not ask for.
func (d *day) ownNetwork(t *testing.T) {
	d.save(t, `log.Fatal(http.ListenAndServe(":"+port, greet(target)))`, `go func() { log.Fatal(http.ListenAndServe(":2112", greet(target))) }()
	http.Handle("/", greet(target))
	http.HandleFunc("/call", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(r.FormValue("url"))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		defer answer.Body.Close()
		fmt.Fprint(w, answer.StatusCode)
	})
	log.Fatal(http.ListenAndServe(":"+port, nil))`)
	d.save(t, `"Hej `, `"Ahoj `)
	d.answer = "Ahoj World!"
	d.expect(t, d.answer)
	calls := map[string]string{"http://127.0.0.1:2112/": "200"}
	if d.Engine() == "embedded" {
		calls["http://hello.default.svc.cluster.local/"] = "200"
		calls["http://hello.default/"] = "200"
		calls["http://hello/"] = "404"
		calls["http://nobody.default.svc.cluster.local/"] = "no such host"
		calls["http://host.devbox.internal:18080/"] = "404" // the gateway knows no such host
	}
	call := func(to string) string {
		_, body, err := d.Get(host, "/call?url="+url.QueryEscape(to))
		if err != nil {
			return err.Error()
		}
		return body
	}
	for to, want := range calls {
		if got := call(to); !strings.Contains(got, want) {
			t.Errorf("a pod that calls %s gets %q; want %q", to, got, want)
		}
	}
	// On kind a pod reaches what listens on the address by which its node knows
	// the machine, and CoreDNS knows the name in its own time.
	listener, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	machine := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.NotFoundHandler()}}
	machine.Start()
	defer machine.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	box.Eventually(t, "a pod reaches the machine by its name", func() bool { return call("http://host.devbox.internal:"+port) == "404" })
	mark := d.up.Mark()
	box.Edit(t, filepath.Join(d.dir, "service.yaml"), "          env:\n", "          ports: [{containerPort: 3000}]\n          env:\n")
	d.up.WaitAfter(mark, "the revision with another port", soon, live)
	d.save(t, `cmp.Or(os.Getenv("PORT"), "8080")`, `"3000"`)
	d.expect(t, d.answer)
}

func (d *day) zeroAndBack(t *testing.T) {
	box.Eventually(t, "no pod is left without a request", func() bool { return d.Pods() == 0 })
	start := time.Now()
	d.expect(t, d.answer)
	t.Logf("from zero pods to an answer: %s", time.Since(start).Round(time.Millisecond))
	if d.Pods() == 0 {
		t.Error("no pod after a request; want one")
	}
}

// trace sends the next request from zero, and says where its time went.
func (d *day) trace(t *testing.T) {
	out, code := d.Run("trace", "hello", "--wait", "-o", "json")
	if code != 0 {
		t.Fatalf("devbox trace: exit %d\n%s", code, out)
	}
	var trace struct {
		Status int
		Steps  []struct {
			Step string
			Took time.Duration
		}
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&trace); err != nil { // progress follows
		t.Fatalf("devbox trace -o json: %v\n%s", err, out)
	}
	var steps []string
	for _, s := range trace.Steps {
		steps = append(steps, s.Step)
		t.Logf("from zero pods, %s: %s", s.Step, s.Took)
	}
	want := []string{"held", "decided", "created", "sandbox", "started", "listening", "first byte"}
	if trace.Status != http.StatusOK || !slices.Equal(steps, want) {
		t.Errorf("devbox trace: status %d, steps %q; want %q", trace.Status, steps, want)
	}
}

func (d *day) interrupt(t *testing.T) {
	if code := d.up.Interrupt(); code != 0 && code != 130 {
		t.Errorf("Ctrl-C: exit %d", code)
	}
	if out, code := d.Run("wait", "hello"); code != 0 {
		t.Errorf("devbox wait with no session to ask: exit %d\n%s", code, out)
	}
	d.expect(t, d.answer)
}

func (d *day) secondUp(t *testing.T) {
	start := time.Now()
	out, code := d.Run("up", "--detach", d.dir)
	if code != 0 {
		t.Fatalf("a second up: exit %d\n%s", code, out)
	}
	t.Logf("a second up: %s", time.Since(start).Round(time.Millisecond))
	d.expect(t, d.answer)
}

func (d *day) reports(t *testing.T) {
	if out, code := d.Run("url", "hello"); code != 0 || !strings.Contains(out, host) {
		t.Errorf("devbox url: exit %d\n%s", code, out)
	}
	if out, code := d.Run("logs", "hello"); code != 0 {
		t.Errorf("devbox logs: exit %d\n%s", code, out)
	}
	for _, command := range []string{"services", "revisions hello", "describe hello", "traffic hello"} {
		out, code := d.Run(append(strings.Fields(command), "-o", "json")...)
		if code != 0 || !json.Valid([]byte(out)) || !strings.Contains(out, "hello-000") {
			t.Errorf("devbox %s -o json: exit %d, want JSON that names a revision:\n%s", command, code, out)
		}
	}
	out, code := d.Run("status", "-o", "json")
	if code != 0 || !json.Valid([]byte(out)) || !strings.Contains(out, `"hello"`) {
		t.Errorf("devbox status -o json: exit %d, want JSON that names hello:\n%s", code, out)
	}
	if out, code := d.Run("kubeconfig"); code != 0 || !strings.Contains(out, d.Name()) {
		t.Errorf("devbox kubeconfig: exit %d, want the path of the box's own file:\n%s", code, out)
	}
	columns := d.Columns("/apis/serving.knative.dev/v1/services")
	for _, column := range []string{"URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"} {
		if !slices.Contains(columns, column) {
			t.Errorf("kubectl get ksvc has the columns %v; want %s among them", columns, column)
		}
	}
}

// divided gives the revision before some of the traffic, and a host of its own.
func (d *day) divided(t *testing.T) {
	type revision struct {
		Name, Ready string
		Percent     int64
	}
	var all []revision
	if out, code := d.Run("revisions", "hello", "-o", "json"); code != 0 || json.Unmarshal([]byte(out), &all) != nil {
		t.Fatalf("devbox revisions: exit %d\n%s", code, out)
	}
	all = slices.DeleteFunc(all, func(r revision) bool { return r.Ready != "True" })
	if len(all) < 2 || all[0].Percent != 100 {
		t.Fatalf("the revisions are %+v; want the newest with all of the traffic, and another", all)
	}
	before := all[1].Name
	if out, code := d.Run("traffic", "hello", "--to", before+"=30,@latest=70", "--tag", before+"=before"); code != 0 || !strings.Contains(out, "30%") {
		t.Fatalf("devbox traffic: exit %d\n%s", code, out)
	}
	if status, _, err := d.Get("before-"+host, "/"); err != nil || status != http.StatusOK {
		t.Errorf("GET of the tag's host: status %d, error %v", status, err)
	}
	if out, code := d.Run("traffic", "hello", "--to", "hello-99999=100"); code != 2 || !strings.Contains(out, before) {
		t.Errorf("traffic to a revision that is not there: exit %d; want 2, and those that are\n%s", code, out)
	}
	if out, code := d.Run("hold", "--release", "hello"); code != 0 {
		t.Fatalf("devbox hold --release: exit %d\n%s", code, out)
	}
	d.expect(t, d.answer)
}

// released pushes ko's own image into the box's registry, on a base image that is
// there, and deploys the manifests that name it.
func (d *day) released(t *testing.T) {
	var status struct{ Box struct{ Registry string } }
	if out, code := d.Run("status", "-o", "json"); code != 0 || json.Unmarshal([]byte(out), &status) != nil {
		t.Fatalf("devbox status: exit %d\n%s", code, out)
	}
	registry := status.Box.Registry
	base, err := name.ParseReference(registry + "/base")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(base, empty.Image); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "release.yaml")
	release := d.Command(t.Context(), "release", d.dir, "--registry", registry+"/released", "--platform", "linux/"+runtime.GOARCH, "-o", file)
	release.Env = append(release.Env, "KO_DEFAULTBASEIMAGE="+base.String())
	if out, err := release.CombinedOutput(); err != nil {
		t.Fatalf("devbox release: %v\n%s", err, out)
	}
	out, code := d.Run("deploy", "-f", file)
	if code != 0 || !strings.Contains(out, "live") {
		t.Fatalf("devbox deploy: exit %d\n%s", code, out)
	}
	d.expect(t, d.answer)
	if out, code := d.Run("describe", "hello"); code != 0 || !strings.Contains(out, registry+"/released/hello-") {
		t.Errorf("devbox describe: exit %d; want the image of the release\n%s", code, out)
	}
}

// database has a second service count in the machine's own Postgres, by what its
// .env says.
func (d *day) database(t *testing.T) {
	dir := box.Project(t, "postgres")
	box.Edit(t, filepath.Join(dir, ".env"), ":5432/", fmt.Sprintf(":%d/", d.Postgres(t)))
	if out, code := d.Run("up", "--detach", dir); code != 0 || !strings.Contains(out, ".env gives it DATABASE_URL") {
		t.Fatalf("devbox up of a service with a database: exit %d\n%s", code, out)
	}
	d.visits(t, "postgres")
	out, code := d.Run("describe", "postgres")
	if code != 0 || strings.Contains(out, "postgres://") || !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
		return slices.Equal(strings.Fields(line), []string{"DATABASE_URL", "user-container", ".env"})
	}) {
		t.Errorf("devbox describe: exit %d; want the name of the variable, from .env, and no value\n%s", code, out)
	}
	d.end(t, "postgres")
}

// visits counts two in a service's database.
func (d *day) visits(t *testing.T, service string) {
	t.Helper()
	for _, want := range []string{"visit 1", "visit 2"} {
		if status, body, err := d.Get(service+".default.example.com", "/"); err != nil || status != http.StatusOK || body != want {
			t.Errorf("status %d, body %q, error %v; want 200 %q", status, body, err, want)
		}
	}
}

// end takes a service away, and returns when it has let go of its database.
func (d *day) end(t *testing.T, service string) {
	t.Helper()
	api := d.Serving()
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: service}}
	if err := api.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, "the service and its pods are gone, and let go of the database", func() bool {
		return apierrors.IsNotFound(api.Get(t.Context(), client.ObjectKeyFromObject(s), s)) && len(d.PodsOf(metav1.NamespaceDefault, box.Of(service))) == 0
	})
}

// databaseBeside has the same program count in a Postgres that a Deployment in the
// directory runs. The embedded engine has no Deployments, and says so.
func (d *day) databaseBeside(t *testing.T) {
	dir := filepath.Join(box.Project(t, "postgres"), "beside")
	if d.Engine() == "embedded" {
		if err := os.Remove(filepath.Join(dir, "service.yaml")); err != nil { // which would wait for it
			t.Fatal(err)
		}
		out, code := d.Run("up", "--detach", dir)
		if code != 6 || !strings.Contains(out, "database.yaml") || !strings.Contains(out, "the embedded engine has no kind Deployment of apps/v1") {
			t.Errorf("devbox up with a Deployment: exit %d; want 6 and that there are none\n%s", code, out)
		}
		return
	}
	d.Load(t, "docker.io/library/postgres:15")
	if out, code := d.Run("up", "--detach", dir); code != 0 {
		t.Fatalf("devbox up of a service with a database beside it: exit %d\n%s", code, out)
	}
	d.visits(t, "postgres-beside")
	d.end(t, "postgres-beside")
}

// command runs the program a second time in its pod, where its port is taken.
func (d *day) command(t *testing.T) {
	d.expect(t, d.answer)
	box.Eventually(t, "a pod of hello is ready to others than the gateway, too", func() bool {
		return len(d.ReadyPodsOf(metav1.NamespaceDefault, box.Of("hello"))) > 0
	})
	out, code := d.Run("exec", "hello", "--name", d.Name(), "--", "/ko-app/hello")
	if want := "address already in use"; code != 1 || !strings.Contains(out, want) {
		t.Errorf("devbox exec: exit %d; want 1 and %q\n%s", code, want, out)
	}
	d.expect(t, d.answer)
}

func (d *day) stoppedBox(t *testing.T) {
	d.Stop()
	start := time.Now()
	if out, code := d.Run("up", "--detach", d.dir); code != 0 {
		t.Fatalf("up of a stopped box: exit %d\n%s", code, out)
	}
	t.Logf("up of a stopped box: %s", time.Since(start).Round(time.Millisecond))
	d.expect(t, d.answer)
}

func (d *day) down(t *testing.T) {
	if left := d.Down(); len(left) > 0 {
		t.Errorf("left after down:\n%s", strings.Join(left, "\n"))
	}
	if out, code := d.Run("status"); code == 0 {
		t.Errorf("devbox status after down: exit 0; want to be told that there is no box\n%s", out)
	}
	if out, code := d.Run("down"); code != 0 {
		t.Errorf("a second down: exit %d; want 0, nothing is left to do\n%s", code, out)
	}
}
