package activator

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// frail is a pod that can be killed: what listens at its address goes without
// a word, and with all its connections.
type frail struct {
	server *http.Server
	pod    corev1.Pod
	has    atomic.Int64 // requests that it has in hand
}

func (b *box) frail(name, revision string) *frail {
	b.t.Helper()
	f := &frail{}
	f.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(proxy.NetworkProbe) == proxy.Queue {
			fmt.Fprint(w, proxy.Queue)
			return
		}
		f.has.Add(1)
		defer f.has.Add(-1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(time.Millisecond)
		fmt.Fprint(w, "ok")
	})}
	listener := listen(b.t)
	go func() { _ = f.server.Serve(listener) }()
	b.t.Cleanup(func() { _ = f.server.Close() })
	f.pod = makePod(name, revision, "127.0.0.1", func(p *corev1.Pod) {
		port := int32(listener.Addr().(*net.TCPAddr).Port)
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "queue-port", ContainerPort: port}}}}
	})
	b.change(func(o *objects) { o.pods = append(o.pods, f.pod) })
	return f
}

// TestPodIsKilled kills one pod after the other under load. What a pod had in
// hand is lost, since nobody knows what became of it; all else is served by
// the others, though nobody has told the activator.
func TestPodIsKilled(t *testing.T) {
	for method, body := range map[string]func() io.Reader{
		http.MethodGet:  func() io.Reader { return nil },
		http.MethodPost: func() io.Reader { return io.MultiReader(strings.NewReader("body")) },
	} {
		t.Run(method, func(t *testing.T) {
			b := newBox(t)
			b.route(to("hello-00001", 100))
			b.frail("stays", "hello-00001")
			const clients, kills = 8, 10
			stop := b.load(clients, func(int) *http.Request { return b.request(context.Background(), method, "/", body()) })
			var had int64
			for i := range kills {
				f := b.frail(fmt.Sprint("p", i), "hello-00001")
				b.answers("hello-00001", 2)
				b.until("it is under load", func() bool { return f.has.Load() > 0 })
				had += f.has.Load()
				_ = f.server.Close()
				b.answers("hello-00001", 1) // found out by a request
			}
			total, bad := stop()
			for _, result := range bad {
				if !strings.HasPrefix(result, "502 the pod gave no answer: ") {
					t.Errorf("got %q", result)
				}
			}
			// One or two more were on their way to each.
			if int64(len(bad)) > had+2*kills || total == 0 {
				t.Errorf("%d of %d failed; the killed pods had %d in hand", len(bad), total, had)
			}
		})
	}
}
