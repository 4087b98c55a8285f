package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/load"
	"github.com/kind-in-a-box/devbox/internal/tail"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

var testSite = load.Site{
	Gateway: "127.0.0.1:8080", Host: "hello.default.example.com",
	Hosts: []string{"hello.default.example.com", "other.default.example.com"},
}

func TestLoadAims(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	body := file("body", "from a file")
	for _, test := range []struct {
		flags loadFlags
		want  []load.Target
		err   string
	}{
		{flags: loadFlags{path: "/"}, want: []load.Target{{Method: "GET", URL: "http://hello.default.example.com/", Body: []byte{}}}},
		{flags: loadFlags{path: "/a?b=c", body: "text"}, want: []load.Target{{Method: "POST", URL: "http://hello.default.example.com/a?b=c", Body: []byte("text")}}},
		{flags: loadFlags{path: "/", body: "@" + body, method: "PUT"}, want: []load.Target{{Method: "PUT", URL: "http://hello.default.example.com/", Body: []byte("from a file")}}},
		{flags: loadFlags{path: "/", header: headerFlag{"host": {"other.default.example.com"}}}, want: []load.Target{{Method: "GET", URL: "http://other.default.example.com/", Body: []byte{}}}},
		{
			flags: loadFlags{path: "/", targets: file("targets", "GET /a\nPOST http://other.default.example.com/b\n")},
			want:  []load.Target{{Method: "GET", URL: "http://hello.default.example.com/a"}, {Method: "POST", URL: "http://other.default.example.com/b"}},
		},
		{flags: loadFlags{path: "a"}, err: "--path a: a path begins with /"},
		{flags: loadFlags{path: "http://elsewhere.example.net/"}, err: "a path begins with /"},
		{flags: loadFlags{path: "/", header: headerFlag{"Host": {"elsewhere.example.net"}}}, err: "elsewhere.example.net is no host of this box, such as hello.default.example.com, and nothing else is ever a target"},
		{flags: loadFlags{path: "/", method: "CONNECT"}, err: `"CONNECT" is no method`},
		{flags: loadFlags{path: "/", body: "@" + dir + "/none"}, err: "reading the body: open "},
		{flags: loadFlags{path: "/", targets: dir + "/none"}, err: "reading the targets: open "},
		{flags: loadFlags{path: "/", targets: file("elsewhere", "GET /a\n\nGET http://elsewhere.example.net/\n")}, err: "elsewhere:3: elsewhere.example.net is no host of this box"},
		{flags: loadFlags{path: "/", targets: file("nonsense", "nonsense\n")}, err: "nonsense:1: bad target: nonsense"},
	} {
		got, err := test.flags.aim(testSite)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%+v: %v; want an error with %q", test.flags, err, test.err)
			}
			continue
		}
		for i := range got {
			got[i].Header = nil
			if i < len(test.want) && len(got[i].Body) == 0 {
				got[i].Body = test.want[i].Body
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got):\n%s", test.flags, err, diff)
		}
	}
}

func TestALoadHasTheSocketsItNeeds(t *testing.T) {
	free, err := load.FreeSockets()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		flags   loadFlags
		workers uint64 // 0 is an error
	}{
		{loadFlags{rate: load.Rate{Freq: 50, Per: time.Second}}, min(mostWorkers, free)},
		{loadFlags{}, unboundWorkers},
		{loadFlags{maxWorkers: 7}, 7},
		{loadFlags{maxWorkers: free}, free},
		{loadFlags{maxWorkers: free + 1}, 0},
		{loadFlags{maxWorkers: free + 1, maxConnections: 100}, free + 1},
		{loadFlags{maxWorkers: free + 1, http2: true}, free + 1},
	} {
		p, err := test.flags.plan("127.0.0.1:8080")
		lacking, ok := errors.AsType[*problem](err)
		switch {
		case test.workers > 0 && (err != nil || p.MaxWorkers != test.workers):
			t.Errorf("%+v: %d workers, %v; want %d", test.flags, p.MaxWorkers, err, test.workers)
		case test.workers == 0 && (!ok || lacking.code != codePrerequisite || !strings.Contains(lacking.next, "ulimit -n")):
			t.Errorf("%+v: %v; want it to lack sockets", test.flags, err)
		}
	}
}

func TestInTurn(t *testing.T) {
	got, err := inTurn([]load.Target{{Method: "GET", URL: "http://h/a?b=c"}}, "h", []string{"x-h", "y-h"})
	var urls []string
	for _, target := range got {
		urls = append(urls, target.URL)
	}
	if diff := cmp.Diff([]string{"http://x-h/a?b=c", "http://y-h/a?b=c", "http://y-h/a?b=c", "http://x-h/a?b=c"}, urls); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := inTurn([]load.Target{{URL: "http://other/"}}, "h", []string{"x", "y"}); err == nil {
		t.Error("a target of another service is compared")
	}
}

func TestWrongFilesAreRefusedBeforeTheLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := openLoadFiles(&loadFlags{results: filepath.Join(dir, "a"), plot: filepath.Join(dir, "none", "b")}); err == nil || !strings.HasPrefix(err.Error(), "--plot: open ") {
		t.Errorf("a folder that is not there: %v", err)
	}
	files, err := openLoadFiles(&loadFlags{})
	if err != nil || files.keep() != nil {
		t.Errorf("no files: %v, %v", files.keep(), err)
	}
	files.close()
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder was made")
	}
}

func TestAServiceIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeline, recorder := load.NewTimeline(), load.NewRecorder(nil)
		w := &serviceWatch{timeline: timeline, service: "hello", pods: map[string]*corev1.Pod{}, wanted: map[string]int{}, failed: map[string]bool{}, live: "hello-00001"}
		revision := func(name string, wanted int32) *servingv1.Revision {
			r := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: name}}
			r.Status.DesiredReplicas = &wanted
			return r
		}
		pod := func(name string, ready corev1.ConditionStatus) *corev1.Pod {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
			return p
		}
		now := func(want load.Pods) {
			t.Helper()
			got, _ := timeline.Now()
			got.At = 0
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
		}
		w.see(revision("hello-00001", 1), false)
		w.see(pod("a", corev1.ConditionTrue), false)
		if _, ok := timeline.Now(); ok {
			t.Error("pods are counted before all of them are known")
		}
		w.begin()
		now(load.Pods{Ready: 1, Present: 1, Wanted: 1})
		w.see(revision("hello-00002", 2), false)
		w.see(pod("b", corev1.ConditionFalse), false)
		now(load.Pods{Ready: 1, Present: 2, Wanted: 3})
		w.see(pod("b", corev1.ConditionTrue), false)
		service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "hello"}}
		service.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-00002", Percent: new(int64(100))}}
		w.see(service, false)
		other := service.DeepCopy()
		other.Name, other.Status.Traffic[0].RevisionName = "other", "other-00001"
		w.see(other, false)
		ending := pod("a", corev1.ConditionTrue)
		ending.DeletionTimestamp = new(metav1.Now())
		w.see(ending, false)
		w.see(revision("hello-00001", 0), false)
		now(load.Pods{Ready: 1, Present: 1, Wanted: 2})
		w.see(ending, true)
		broken := revision("hello-00003", 0)
		broken.Status.InitializeConditions()
		broken.Status.MarkContainerHealthyFalse("ExitCode1", "it ended")
		w.see(broken, false)
		w.see(broken, false)
		now(load.Pods{Ready: 1, Present: 1, Wanted: 2})
		var marks []string
		for _, m := range recorder.Report(load.Plan{}, load.Ending{}, timeline, nil).Marks {
			marks = append(marks, m.What+" "+m.Kind)
		}
		if diff := cmp.Diff([]string{"hello-00002 new", "hello-00002 live", "hello-00003 new", "hello-00003 failed"}, marks); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
	})
}

// told are numbers that a test tells.
type told struct {
	held float64
	err  error
}

func (n told) Metrics(context.Context) (map[string]*dto.MetricFamily, error) {
	if n.err != nil {
		return nil, n.err
	}
	of := func(service string, value float64) *dto.Metric {
		return &dto.Metric{
			Label: []*dto.LabelPair{{Name: new("namespace_name"), Value: new("default")}, {Name: new("service_name"), Value: &service}},
			Gauge: &dto.Gauge{Value: &value},
		}
	}
	return map[string]*dto.MetricFamily{
		"activator_requests_held": {Metric: []*dto.Metric{of("hello", n.held), of("hello", 1), of("other", 100)}},
	}, nil
}

func TestHeldIsSaidOrSaidToBeUnknown(t *testing.T) {
	on := &subject{namespace: "default", name: "hello"}
	for want, box := range map[string]told{"held 5": {held: 4}, "held unknown": {err: errors.New("an older box")}} {
		reader := heldReader{box: box, on: on}
		if got := reader.now(t.Context()); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

// TestTagsHaveRoom: a tag and a service's name are one label of a host.
func TestTagsHaveRoom(t *testing.T) {
	service := func(length int, tags ...string) *servingv1.Service {
		s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("n", length)}}
		for _, tag := range tags {
			s.Spec.Traffic = append(s.Spec.Traffic, servingv1.TrafficTarget{Tag: tag})
		}
		return s
	}
	for _, test := range []struct {
		service *servingv1.Service
		want    []string
	}{
		{service(5), []string{"devbox-load-a", "devbox-load-b"}},
		{service(49), []string{"devbox-load-a", "devbox-load-b"}},
		{service(50), []string{"a", "b"}},
		{service(60, "a", "current"), []string{"b", "c"}},
		{service(61), []string{"a", "b"}},
		{service(62), nil},
		{service(60, strings.Split("abcdefghijklmnopqrstuvwxy", "")...), nil},
	} {
		got, err := tagsFor(test.service)
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("%d characters: %v (-want +got):\n%s", len(test.service.Name), err, diff)
		}
		for _, tag := range got {
			if name := servingv1.TaggedName(tag, test.service.Name); len(name) > 63 {
				t.Errorf("%s is too long for a host's label", name)
			}
		}
	}
}

// TestFailedBuildsAreMarked as a session tells of them, and only those of the
// service that came while it was watched.
func TestFailedBuildsAreMarked(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	if err := os.MkdirAll(filepath.Join(config, "devbox", "devbox"), 0o700); err != nil { // a box's
		t.Fatal(err)
	}
	d := &devbox{name: "devbox"}
	told, err := d.recorder()
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	told.Show(event.Event{Kind: event.BuildFailed, Service: "hello", Time: time.Now().Add(-time.Minute)})
	ctx, stop := context.WithCancel(t.Context())
	timeline, recorder := load.NewTimeline(), load.NewRecorder(nil)
	wait := (&cluster{d: d}).watchBuilds(ctx, "hello", timeline)
	for _, e := range []event.Event{{Kind: event.BuildFailed, Service: "other"}, {Kind: event.BuildDone, Service: "hello"}, {Kind: event.BuildFailed, Service: "hello"}} {
		e.Time = time.Now().Add(time.Second)
		told.Show(e)
	}
	marks := func() []load.Mark {
		return recorder.Report(load.Plan{}, load.Ending{}, timeline, nil).Marks
	}
	for deadline := time.Now().Add(10 * time.Second); len(marks()) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	stop()
	wait()
	if got := marks(); len(got) != 1 || got[0].Kind != load.MarkBuild || got[0].What != "hello" {
		t.Errorf("got %+v, want one failed build of hello", got)
	}
}

// TestLogsOnATerminal: a program's escape sequences do not reach a screen.
func TestLogsOnATerminal(t *testing.T) {
	const line = "\x1b]0;title\a\x1b[2Jred \x1b[31mtext\x1b[0m\r"
	for screen, want := range map[bool]string{false: line, true: "red text\n"} {
		var out bytes.Buffer
		(&devbox{stdout: &out}).logLine(false, screen)(tail.Line{Text: line})
		if got := out.String(); !strings.HasSuffix(got, "| "+strings.TrimSuffix(want, "\n")+"\n") {
			t.Errorf("on a screen %v: %q", screen, got)
		}
	}
}
