package activator

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/queue"
)

// TestGRPC calls a gRPC service from zero, once and as a stream. Queue-proxy
// asks the same service whether it is ready.
func TestGRPC(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) {
		r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
	})
	b.route(to("hello-00001", 100))
	service := health.NewServer()
	service.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	b.pod("p", "hello-00001", server, func(c *podConfig) {
		c.queue.UserH2C = true
		c.queue.Probe.GRPC = &queue.GRPC{}
	})

	conn, err := grpc.NewClient(strings.TrimPrefix(b.url, "http://"), grpc.WithAuthority(host), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := grpc_health_v1.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		b.waiting("hello-00001", 1)
		service.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	}()
	if answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("from zero: %v, %v", answer, err)
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error's code: %v", err)
	}
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{
		grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN,
		grpc_health_v1.HealthCheckResponse_SERVING,
		grpc_health_v1.HealthCheckResponse_NOT_SERVING,
	} {
		if want != grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
			service.SetServingStatus("s", want)
		}
		if got, err := stream.Recv(); err != nil || got.Status != want {
			t.Fatalf("on the stream: %v, %v; want %v", got, err, want)
		}
	}
}
