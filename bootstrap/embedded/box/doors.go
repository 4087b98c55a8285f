package box

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// doors lead to the parts that watch a box, which are pods whose address and
// port another life of the box may change:
//
//	prometheus.localhost:8080        a person's, at the box's own port
//	127.0.0.1:<metrics>/parts/zipkin/ another part's, or a tracer's
//
// They remember nothing: each request is one list of pods, out of the API
// server's cache. So parts come and go while the box runs.
type doors struct {
	pods  kubernetes.Interface
	in    string // the parts' namespace
	names []string
	proxy *httputil.ReverseProxy
}

// partPatience is how long a part may be silent that accepts no connection.
const partPatience = 2 * time.Second

func newDoors(pods kubernetes.Interface, in string, names []string, dial func(ctx context.Context, network, address string) (net.Conn, error), log *slog.Logger) *doors {
	d := &doors{pods: pods, in: in, names: names}
	transport := proxy.NewTransport(proxy.TransportConfig{Idle: time.Minute})
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, partPatience)
		defer cancel()
		return dial(ctx, network, address)
	}
	d.proxy = proxy.New(transport, log, func(r *httputil.ProxyRequest) {
		to := r.In.Context().Value(doorKey{}).(*url.URL)
		r.Out.URL.Host, r.Out.URL.Path, r.Out.URL.RawPath = to.Host, to.Path, to.RawPath
	})
	d.proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		http.Error(w, fmt.Sprintf("the part that is asked for does not answer: %v", err), http.StatusBadGateway)
	}
	return d
}

type doorKey struct{}

// front has the requests of hosts that are a part's go there, where it is, and
// all others to next.
func (d *doors) front(next http.Handler) http.Handler {
	hosts := map[string]string{}
	for _, name := range d.names {
		hosts[name+".localhost"] = name
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		part, ok := hosts[host]
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		d.through(w, r, part, r.URL.Path, r.URL.RawPath)
	})
}

// inside is the same for the box's own processes, by a path.
func (d *doors) inside() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := r.PathValue("part")
		prefix := "/parts/" + part
		d.through(w, r, part, strings.TrimPrefix(r.URL.Path, prefix), strings.TrimPrefix(r.URL.RawPath, prefix))
	})
}

func (d *doors) through(w http.ResponseWriter, r *http.Request, part, path, raw string) {
	address, err := d.address(r.Context(), part)
	if absent, ok := errors.AsType[*absentError](err); ok {
		http.Error(w, absent.Error(), http.StatusNotFound)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	to := &url.URL{Host: address, Path: path, RawPath: raw}
	d.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, to)))
}

// absentError says that the box has no such part.
type absentError struct{ part string }

func (e *absentError) Error() string {
	return fmt.Sprintf("this box has no %s that answers; `devbox status` lists what it has, `devbox up --with observability` adds it", e.part)
}

// address is where the part's pod takes requests.
func (d *doors) address(ctx context.Context, part string) (string, error) {
	if !slices.Contains(d.names, part) {
		return "", &absentError{part}
	}
	list, err := d.pods.CoreV1().Pods(d.in).List(ctx, metav1.ListOptions{LabelSelector: "app=" + part, ResourceVersion: "0"})
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", part, err)
	}
	for _, pod := range list.Items {
		if answers(&pod) {
			c := pod.Spec.Containers[0]
			number := cmp.Or(servingv1.ChosenPorts(pod.Annotations)[servingv1.UserPortName], c.Ports[0].ContainerPort)
			return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(number))), nil
		}
	}
	return "", &absentError{part}
}

func answers(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || len(pod.Spec.Containers[0].Ports) == 0 {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
