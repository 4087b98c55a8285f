package cluster

import "testing"

func TestHostIn(t *testing.T) {
	for out, want := range map[string]string{
		"default via 172.18.0.1 dev eth0 \n":                                   "172.18.0.1",
		"192.168.65.254  STREAM host.docker.internal\n192.168.65.254  DGRAM\n": "192.168.65.254",
		"":                   "invalid IP",
		"default dev eth0":   "invalid IP",
		"default via nobody": "invalid IP",
	} {
		got, err := hostIn(out)
		if got.String() != want || (err == nil) != got.IsValid() {
			t.Errorf("%q: %s, %v; want %s", out, got, err, want)
		}
	}
}
