package kind

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// hostName is this machine's name in pods, the same on every engine.
const hostName = "host.devbox.internal"

// nameHost has the cluster's DNS know this machine by its name. A CoreDNS that runs
// already reads it within two minutes.
func (u *up) nameHost(ctx context.Context) error {
	address, err := u.node.Host(ctx)
	if err != nil {
		return err
	}
	maps := u.clients.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		config, err := maps.Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return err
		}
		const file = "Corefile"
		with := knowing(config.Data[file], address)
		if with == config.Data[file] {
			return nil
		}
		config.Data[file] = with
		_, err = maps.Update(ctx, config, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("giving pods the name %s: %w", hostName, err)
	}
	return nil
}

// known is where a Corefile has the name already.
var known = regexp.MustCompile(`(?m)^(\s*)\S+( ` + regexp.QuoteMeta(hostName) + `)$`)

// knowing is a Corefile that has the machine's address under its name. What is no
// Corefile of kubeadm's stays as it is.
func knowing(corefile string, address netip.Addr) string {
	if known.MatchString(corefile) {
		return known.ReplaceAllString(corefile, "${1}"+address.String()+"${2}")
	}
	const zone = ".:53 {\n"
	return strings.Replace(corefile, zone, zone+fmt.Sprintf("    hosts {\n       %s %s\n       fallthrough\n    }\n", address, hostName), 1)
}
