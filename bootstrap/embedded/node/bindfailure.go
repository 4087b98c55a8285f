package node

import (
	"fmt"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// explainBind says after the words of a container that has ended who has the
// port that it could not open, and what to do. Other words stay as they are.
func (c *container) explainBind(words string) string {
	port, ok := servingv1.PortInUse(words)
	if !ok {
		return words
	}
	return strings.TrimRight(words, "\n") + "\n" + c.portHolder(port)
}

// portHolder is a sentence about who has a port that c could not open.
func (c *container) portHolder(port int32) string {
	own := c.pod.network != nil
	if why := servingv1.QueueProxyHas(port); own && why != "" {
		return why
	}
	if own {
		return fmt.Sprintf("port %d is taken by another program of the same pod; listen on another", port)
	}
	holder := "another pod or program of this machine"
	if int(port) == c.pod.node.entrance {
		holder = "the box's gateway"
	}
	return fmt.Sprintf("%s has port %d, since pods of the embedded engine share this machine's network here; "+
		"listen on the port that $PORT names, which is this pod's own", holder, port)
}
