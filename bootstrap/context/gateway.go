package context

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// gateways are the Services of the ingresses that Knative's documentation has,
// the one that our own charts use first. Istio's own may have any name.
var gateways = []struct{ namespace, name string }{
	{"istio-system", "istio-ingressgateway"},
	{"kourier-system", "kourier"},
	{"contour-external", "envoy"},
}

// soon is how long a load balancer may take to answer before a port-forward is
// taken in its place.
const soon = 3 * time.Second

// gateway looks for the way in: the one that is given, the address of a load
// balancer that answers, or else a port-forward.
func (s *survey) gateway(ctx context.Context) {
	if _, named := serviceOf(s.guest.Given); s.guest.Given != "" && !named {
		s.given(s.guest.Given)
		return
	}
	if s.install != nil && s.install.istio && !s.installed {
		s.SettleGatewayPort(ctx) // which it takes where no load balancer comes with the gateway
		return
	}
	service := s.findGateway(ctx)
	if service == nil {
		return
	}
	if address := balanced(service); address != "" {
		err := answers(ctx, address, soon)
		if err == nil {
			s.guest.Gateway, s.guest.Forward = address, nil
			s.Add("gateway", bootstrap.OK, "load balancer "+address, "")
			return
		}
		s.Add("gateway", bootstrap.Warn, fmt.Sprintf("the load balancer of Service %s/%s does not answer from here, so a port-forward is the way in: %v", service.Namespace, service.Name, err),
			"where it answers by another name, give that with --gateway http://HOST:PORT")
	}
	s.forward(ctx, service)
}

// serviceOf reads NAMESPACE/NAME of a Service.
func serviceOf(text string) (at types.NamespacedName, ok bool) {
	namespace, name, _ := strings.Cut(text, "/")
	ok = len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1035Label(name)) == 0
	return types.NamespacedName{Namespace: namespace, Name: name}, ok
}

// given takes the URL that somebody gives.
func (s *survey) given(text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		s.Add("gateway", bootstrap.Fail, fmt.Sprintf("--gateway %s is no URL of a gateway", text), "write it as http://HOST:PORT, or as NAMESPACE/NAME of the gateway's Service")
		return
	}
	s.guest.Gateway, s.guest.Forward = strings.TrimSuffix(text, "/"), nil
	s.Add("gateway", bootstrap.OK, s.guest.Gateway, "")
}

// findGateway is the Service of the ingress; nil where none is found.
func (s *survey) findGateway(ctx context.Context) *corev1.Service {
	if s.install != nil && s.install.ingress != nil {
		return s.install.ingress
	}
	if at, named := serviceOf(s.guest.Given); named {
		service, err := s.clients.CoreV1().Services(at.Namespace).Get(ctx, at.Name, metav1.GetOptions{})
		if err != nil {
			s.Add("gateway", bootstrap.Fail, fmt.Sprintf("--gateway %s: %v", s.guest.Given, err), "look for it with `kubectl get services --all-namespaces`")
			return nil
		}
		return service
	}
	var looked []string
	for _, g := range gateways {
		service, err := s.clients.CoreV1().Services(g.namespace).Get(ctx, g.name, metav1.GetOptions{})
		if err == nil {
			return service
		}
		at := g.namespace + "/" + g.name
		if apierrors.IsForbidden(err) {
			at += ", which you may not get"
		}
		looked = append(looked, at)
	}
	istios, err := s.istioGateways(ctx)
	switch {
	case err == nil && len(istios) == 1:
		return &istios[0]
	case err == nil && len(istios) > 1:
		s.Add("gateway", bootstrap.Fail, "there are several gateways of Istio's: "+strings.Join(namesOf(istios), ", "), "say which one with --gateway NAMESPACE/NAME")
		return nil
	case err == nil:
		looked = append(looked, "any with a label istio in its selector")
	}
	if was := s.guest.Gateway; was != "" {
		s.given(was)
		return nil
	}
	s.Add("gateway", bootstrap.Fail, "no gateway is found: there is no Service "+strings.Join(looked, ", nor "), "say where requests come in with --gateway http://HOST:PORT")
	return nil
}

// istioGateways are the Services of Istio's ingress gateways, by what its charts
// give them: pods with a label "istio", and a port for HTTP.
func (s *survey) istioGateways(ctx context.Context) ([]corev1.Service, error) {
	all, err := s.clients.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(service corev1.Service) bool {
		of := service.Spec.Selector["istio"]
		return of == "" || strings.Contains(of, "egress") || httpPort(&service) == nil
	}), nil
}

func namesOf(services []corev1.Service) []string {
	var names []string
	for _, s := range services {
		names = append(names, s.Namespace+"/"+s.Name)
	}
	return names
}

// balanced is the URL of a Service's load balancer, "" while it has none.
func balanced(s *corev1.Service) string {
	port := httpPort(s)
	for _, ingress := range s.Status.LoadBalancer.Ingress {
		host := ingress.Hostname
		if host == "" {
			host = ingress.IP
		}
		switch {
		case host == "" || port == nil:
			continue
		case port.Port == 80:
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			return "http://" + host
		}
		return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port.Port)))
	}
	return ""
}

// httpPort is the port of a gateway's Service for plain HTTP.
func httpPort(s *corev1.Service) *corev1.ServicePort {
	for i, p := range s.Spec.Ports {
		if p.Port == 80 || p.Name == "http2" || p.Name == "http" {
			return &s.Spec.Ports[i]
		}
	}
	return nil
}

// forward settles a port-forward to one of the gateway's pods.
func (s *survey) forward(ctx context.Context, service *corev1.Service) {
	may, why, err := s.may(ctx, service.Namespace, right{"", "pods", "portforward", []string{"create"}})
	if err != nil || len(may) == 0 {
		s.Add("gateway", bootstrap.Fail, fmt.Sprintf("Service %s/%s has no load balancer that answers, and you may not create pods/portforward in namespace %s%s", service.Namespace, service.Name, service.Namespace, why),
			"say where requests come in with --gateway http://HOST:PORT")
		return
	}
	pods, err := s.clients.CoreV1().Pods(service.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(service.Spec.Selector).String()})
	if err != nil {
		s.Add("gateway", bootstrap.Fail, fmt.Sprintf("looking for the pods of Service %s/%s: %v", service.Namespace, service.Name, err), "say where requests come in with --gateway http://HOST:PORT")
		return
	}
	port := httpPort(service)
	number := 0
	for i := range pods.Items {
		if port != nil && number == 0 {
			number = target(port.TargetPort, int(port.Port), &pods.Items[i])
		}
	}
	if number == 0 {
		s.Add("gateway", bootstrap.Fail, fmt.Sprintf("Service %s/%s has no pod that listens for HTTP", service.Namespace, service.Name), "look at it with `kubectl -n "+service.Namespace+" get pods`")
		return
	}
	s.guest.Gateway = ""
	s.guest.Forward = &bootstrap.Forward{Namespace: service.Namespace, Selector: labels.SelectorFromSet(service.Spec.Selector).String(), Port: number}
	s.SettleGatewayPort(ctx)
	s.Add("gateway", bootstrap.OK, fmt.Sprintf("port-forward to %s/%s", service.Namespace, service.Name), "")
}

// target is the number of the port of a pod that a Service's port leads to.
func target(to intstr.IntOrString, port int, pod *corev1.Pod) int {
	if to.Type == intstr.Int {
		if to.IntVal == 0 {
			return port
		}
		return int(to.IntVal)
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == to.StrVal {
				return int(p.ContainerPort)
			}
		}
	}
	return 0
}

// answers waits for a time until something answers HTTP at the gateway.
func answers(ctx context.Context, gateway string, within time.Duration) error {
	client := http.Client{
		Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("nothing answers at %s in %s", gateway, within))
	defer cancel()
	return bootstrap.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway, http.NoBody)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
}
