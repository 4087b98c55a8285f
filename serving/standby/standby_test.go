package standby

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own program be one that waits, and then another.
func TestMain(m *testing.M) {
	if os.Getenv(URLVariable) == "" {
		os.Exit(m.Run())
	}
	w := Waiter{URL: os.Getenv(URLVariable), Token: os.Getenv(TokenVariable), Pod: os.Getenv(PodVariable), Container: "user"}
	order, err := w.Wait(context.Background())
	if err == nil {
		err = order.Become()
	}
	fmt.Println(err)
	os.Exit(1)
}

// desk is a Desk that listens, and tells of each news.
type desk struct {
	*Desk
	url  string
	news chan string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	news := make(chan string, 100)
	d := &desk{NewDesk(func(pod string) { news <- pod }), "", news}
	server := httptest.NewServer(d.Desk)
	t.Cleanup(func() { d.Close(); server.Close() })
	d.url = server.URL
	return d
}

// until waits for news of a pod until it is as wanted.
func (d *desk) until(t *testing.T, pod string, wanted func(State) bool) State {
	t.Helper()
	for {
		if s := d.Of(pod); wanted(s) {
			return s
		}
		select {
		case <-d.news:
		case <-t.Context().Done():
			t.Fatalf("pod %s is %+v", pod, d.Of(pod))
		}
	}
}

func waits(s State) bool { return s.Waits }

// place is a directory with the Roots in it.
func place(t *testing.T) (*Place, string) {
	t.Helper()
	dir := t.TempDir()
	for _, root := range Roots {
		if err := os.MkdirAll(filepath.Join(dir, root), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return NewPlace(dir), dir
}

func (d *desk) waiter(token, pod, container string, p *Place) *Waiter {
	return &Waiter{URL: d.url, Token: token, Pod: pod, Container: container, Place: p}
}

// answer is what a wait came to.
type answer struct {
	order *Order
	err   error
}

func begin(t *testing.T, w *Waiter) <-chan answer {
	t.Helper()
	done := make(chan answer, 1)
	go func() {
		order, err := w.Wait(t.Context())
		done <- answer{order, err}
	}()
	return done
}

// registry serves layers, by their digest, and counts how often each is asked
// for.
type registry struct {
	url    string
	layers map[string][]byte
	asked  []string
	tell   chan string // of the same; nil: nobody listens
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{layers: map[string][]byte{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	digest := strings.TrimPrefix(req.URL.Path, "/")
	r.asked = append(r.asked, digest)
	if r.tell != nil {
		r.tell <- digest
	}
	content, ok := r.layers[digest]
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write(content) // the test sees what came of it
}

func (r *registry) add(content []byte) Layer {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	r.layers[digest] = content
	return Layer{URL: r.url + "/" + digest, Digest: digest, Size: int64(len(content))}
}

// archive is a tar archive of these files: a name that ends with / is a
// directory, a content that begins with -> a link.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o755, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg, ModTime: time.Unix(1, 0)}
		content := files[i+1]
		if strings.HasSuffix(files[i], "/") {
			h.Typeflag = tar.TypeDir
		}
		if to, ok := strings.CutPrefix(content, "->"); ok {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeSymlink, to, 0, ""
		}
		if to, ok := strings.CutPrefix(content, "=>"); ok {
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeLink, to, 0, ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// tree is every file below dir, with its content.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, strings.TrimPrefix(path, dir)+"="+string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// TestAnOrder reaches both containers of the pod that it is for, when both wait,
// and a container that begins anew after it is told it again.
func TestAnOrder(t *testing.T) {
	d := newDesk(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil, "queue": nil})
	user := begin(t, d.waiter("secret", "one", "user", nil))
	if err := d.Send("one", nil); !errors.Is(err, ErrNotWaiting) {
		t.Errorf("an order before both wait: %v", err)
	}
	queue := begin(t, d.waiter("secret", "one", "queue", nil))
	d.until(t, "one", waits)
	if err := d.Send("one", map[string]*Order{"user": {Pod: "one"}}); err == nil {
		t.Error("there was no order for queue, and nobody minded")
	}
	orders := map[string]*Order{
		"user":  {Pod: "one", Args: []string{"/ko-app/hello"}, Env: map[string]string{"A": "b"}, Dir: "/"},
		"queue": {Pod: "one", Env: map[string]string{"C": "d"}},
	}
	if err := d.Send("one", orders); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]answer{"user": <-user, "queue": <-queue, "a second time": <-begin(t, d.waiter("secret", "one", "queue", nil))} {
		want := orders["queue"]
		if name == "user" {
			want = orders["user"]
		}
		if got.err != nil || fmt.Sprint(*got.order) != fmt.Sprint(*want) {
			t.Errorf("%s: %+v, %v", name, got.order, got.err)
		}
	}
	if err := d.Send("one", orders); !errors.Is(err, ErrNotWaiting) {
		t.Errorf("a second order: %v", err)
	}
}

// TestLayersAhead are brought while a pod waits, in the place of those before,
// and not again with the order.
func TestLayersAhead(t *testing.T) {
	d, r := newDesk(t), newRegistry(t)
	r.tell = make(chan string, 10)
	one, two := r.add(archive(t, "ko-app/one", "1")), r.add(archive(t, "ko-app/two", "2"))
	p, dir := place(t)
	d.Admit("pod", "secret", map[string][]Layer{"user": {one}, "queue": nil})
	d.Prepare("pod", "user", []Layer{two}) // nobody waits
	got, queue := begin(t, d.waiter("secret", "pod", "user", p)), begin(t, d.waiter("secret", "pod", "queue", nil))
	if asked := <-r.tell; asked != one.Digest {
		t.Fatalf("at first %s was asked for, want %s", asked, one.Digest)
	}
	d.until(t, "pod", waits)
	d.Prepare("pod", "user", []Layer{two})
	if asked := <-r.tell; asked != two.Digest {
		t.Fatalf("then %s was asked for, want %s", asked, two.Digest)
	}
	d.Prepare("another", "user", []Layer{one})
	if err := d.Send("pod", map[string]*Order{"user": {Pod: "pod", Layers: []Layer{two}}, "queue": {Pod: "pod"}}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []answer{<-got, <-queue} {
		if a.err != nil {
			t.Error(a.err)
		}
	}
	if got := tree(t, dir); got != "/ko-app/two=2" {
		t.Errorf("in place are %s", got)
	}
	if len(r.tell) > 0 {
		t.Errorf("%s was asked for too", <-r.tell)
	}
	d.Prepare("pod", "user", []Layer{one}) // it does not wait any more
}

// TestWhoIsNotWaitedFor is dismissed, and gets nothing.
func TestWhoIsNotWaitedFor(t *testing.T) {
	d := newDesk(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil})
	for name, w := range map[string]*Waiter{
		"another token":     d.waiter("guess", "one", "user", nil),
		"another container": d.waiter("secret", "one", "queue", nil),
	} {
		if got := <-begin(t, w); !errors.Is(got.err, ErrDismissed) {
			t.Errorf("%s: %+v, %v", name, got.order, got.err)
		}
	}
	res, err := http.Get(d.url + "?container=user")
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("no token: %v, %v", res, err)
	}
	d.Dismiss("one")
	if got := <-begin(t, d.waiter("secret", "one", "user", nil)); !errors.Is(got.err, ErrDismissed) {
		t.Errorf("after it was dismissed: %+v, %v", got.order, got.err)
	}
}

// TestAnOrderForAnotherPod is not followed.
func TestAnOrderForAnotherPod(t *testing.T) {
	d := newDesk(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil})
	got := begin(t, d.waiter("secret", "one", "user", nil))
	d.until(t, "one", waits)
	if err := d.Send("one", map[string]*Order{"user": {Pod: "two", Args: []string{"/bin/true"}}}); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.order != nil || a.err == nil || !strings.Contains(a.err.Error(), "it is for pod two, and this is one") {
		t.Errorf("%+v, %v", a.order, a.err)
	}
	s := d.until(t, "one", func(s State) bool { return s.Failed != "" })
	if !strings.Contains(s.Failed, "user: ") || !strings.Contains(s.Failed, "pod two") {
		t.Errorf("the Desk knows %q", s.Failed)
	}
}

// TestOneThatHasBegunAnew is not taken for one that waits.
func TestOneThatHasBegunAnew(t *testing.T) {
	d := newDesk(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil})
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		_, _ = d.waiter("secret", "one", "user", nil).Wait(ctx) // it is killed
		close(ended)
	}()
	d.until(t, "one", waits)
	kill()
	<-ended
	d.until(t, "one", func(s State) bool { return !s.Waits })
	begin(t, d.waiter("secret", "one", "user", nil))
	d.until(t, "one", func(s State) bool { return s.Stale && !s.Waits })
}

// TestLayers are brought once, and in the place of others.
func TestLayers(t *testing.T) {
	d, r := newDesk(t), newRegistry(t)
	p, dir := place(t)
	data := r.add(archive(t, "var/", "", "var/run/", "", "var/run/ko/", "", "var/run/ko/a/b.txt", "data", "var/run/ko/c", "->a/b.txt"))
	first := r.add(archive(t, "ko-app/", "", "ko-app/hello", "first"))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(archive(t, "/ko-app/hello", "second"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	second := r.add(packed.Bytes())

	d.Admit("one", "secret", map[string][]Layer{"user": {data, first}})
	got := begin(t, d.waiter("secret", "one", "user", p))
	d.until(t, "one", waits)
	if err := d.Send("one", map[string]*Order{"user": {Pod: "one", Layers: []Layer{data, second}}}); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.err != nil {
		t.Fatal(a.err)
	}
	if got, want := tree(t, dir), "/ko-app/hello=second /var/run/ko/a/b.txt=data /var/run/ko/c=data"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
	if !slices.Equal(r.asked, []string{data.Digest, first.Digest, second.Digest}) {
		t.Errorf("asked for %v", r.asked)
	}
	// Without the data nothing of it stays, and a layer over another is no reason
	// to keep what is left of that.
	for _, layers := range [][]Layer{{second}, {second, first}, {second}} {
		if err := p.Bring(t.Context(), layers); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := tree(t, dir), "/ko-app/hello=second"; got != want {
		t.Errorf("there is %s, want %s", got, want)
	}
}

// TestLayersThatAreRefused: the error says why, and nothing is written outside.
func TestLayersThatAreRefused(t *testing.T) {
	r := newRegistry(t)
	good := r.add(archive(t, "ko-app/hello", "good"))
	forged := good
	forged.Digest = "sha256:" + strings.Repeat("0", 64)
	long := good
	long.Size--
	gone := Layer{URL: r.url + "/gone", Digest: good.Digest, Size: good.Size}
	md5 := good
	md5.Digest = "md5:1"
	for name, test := range map[string]struct {
		layer Layer
		want  string
	}{
		"another digest":        {forged, "has the digest " + good.Digest},
		"longer than it says":   {long, "unexpected EOF"},
		"not there":             {gone, "404"},
		"a weak digest":         {md5, "no sha256"},
		"nobody there":          {Layer{URL: "http://127.0.0.1:1/", Digest: good.Digest}, "refused"},
		"no archive":            {r.add([]byte(strings.Repeat("words ", 500))), "reading the archive"},
		"elsewhere":             {r.add(archive(t, "etc/passwd", "root")), "unpacking etc/passwd: it does not lie under"},
		"a directory elsewhere": {r.add(archive(t, "etc/", "")), "it does not lie under"},
		"the root itself":       {r.add(archive(t, "ko-app", "file")), "it does not lie under"},
		"beside a root":         {r.add(archive(t, "ko-app2/x", "y")), "it does not lie under"},
		"a way up":              {r.add(archive(t, "ko-app/../etc/passwd", "root")), "it does not lie under"},
		"a way up and back":     {r.add(archive(t, "ko-app/../ko-app/hello", "x")), "it does not lie under"},
		"a link out":            {r.add(archive(t, "ko-app/x", "->../etc")), "is a link to ../etc"},
		"an absolute link":      {r.add(archive(t, "ko-app/x", "->/etc")), "is a link to /etc"},
		"a hard link":           {r.add(archive(t, "ko-app/x", "=>ko-app/y")), "neither a file"},
		"a whiteout":            {r.add(archive(t, "ko-app/.wh.hello", "")), "it removes"},
	} {
		t.Run(name, func(t *testing.T) {
			p, dir := place(t)
			err := p.Bring(t.Context(), []Layer{test.layer})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if _, err := os.Lstat(filepath.Join(dir, "etc")); err == nil {
				t.Error("there is a file outside")
			}
		})
	}
}

// TestALayerThatIsNotToBeHad: the Desk is told, so that the controller need not
// wait.
func TestALayerThatIsNotToBeHad(t *testing.T) {
	d, r := newDesk(t), newRegistry(t)
	p, _ := place(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil})
	got := begin(t, d.waiter("secret", "one", "user", p))
	d.until(t, "one", waits)
	order := &Order{Pod: "one", Layers: []Layer{{URL: r.url + "/gone", Digest: "sha256:" + strings.Repeat("0", 64), Size: 1}}}
	if err := d.Send("one", map[string]*Order{"user": order}); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.order != nil || a.err == nil {
		t.Errorf("%+v, %v", a.order, a.err)
	}
	if s := d.until(t, "one", func(s State) bool { return s.Failed != "" }); !strings.Contains(s.Failed, "404") {
		t.Errorf("the Desk knows %q", s.Failed)
	}
}

// TestBecome: the program takes over the process, with the order's environment
// and nothing of the wait's.
func TestBecome(t *testing.T) {
	d := newDesk(t)
	d.Admit("one", "secret", map[string][]Layer{"user": nil})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), URLVariable+"="+d.url, TokenVariable+"=secret", PodVariable+"=one", "KEPT=yes", "CHANGED=no")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.until(t, "one", waits)
	dir := t.TempDir()
	err := d.Send("one", map[string]*Order{"user": {
		Pod: "one", Dir: dir, Env: map[string]string{"CHANGED": "yes"},
		Args: []string{"sh", "-c", `echo $$ $PWD $KEPT $CHANGED "$DEVBOX_STANDBY_TOKEN$DEVBOX_STANDBY_URL$DEVBOX_STANDBY_POD" "$0"`, "last"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if got, want := out.String(), fmt.Sprintf("%d %s yes yes  last\n", cmd.Process.Pid, dir); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// TestBecomeNothing says why.
func TestBecomeNothing(t *testing.T) {
	if err := (&Order{}).Become(); !errors.Is(err, errNoProgram) {
		t.Errorf("got %v", err)
	}
	if err := (&Order{Args: []string{"/no/such"}}).Become(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
