package proxy

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHopsComeInTheOrderOfTheRequest(t *testing.T) {
	queue := Hop{Name: "queue-proxy", Pod: "hello-1", Listen: "10.0.0.2:8012", Received: []string{"Accept"}, Waited: time.Millisecond, FirstByte: time.Second}
	activator := Hop{Name: "activator", Listen: "10.0.0.1:8012", To: "10.0.0.2:8012"}
	h := http.Header{HopReport: {"the container's own word", `{"no":"name"}`}}
	for _, hop := range []Hop{queue, activator} {
		if err := hop.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Hop{activator, queue}, Hops(h)); diff != "" {
		t.Errorf("hops (-want +got):\n%s", diff)
	}
}
