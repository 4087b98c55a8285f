package cluster

import (
	"fmt"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// DefaultImage is the node image, pinned by digest, that this version of kind
// was released with.
const DefaultImage = defaults.Image

// What the box's parts and kind agree on inside the node.
const (
	GatewayNodePort = 31080                      // the ingress gateway's NodePort
	RegistryPort    = 5001                       // the registry's port on the node
	RegistryDir     = "/var/lib/devbox/registry" // the registry's files, on the node
	registryUser    = 65532                      // whom the registry runs as
	serviceSubnet   = "10.96.0.0/16"             // the addresses of Services
)

// Spec is what a box asks of its cluster.
type Spec struct {
	Image        string // the node image
	HTTPPort     int    // port of 127.0.0.1 that leads to the gateway
	RegistryPort int    // port of 127.0.0.1 that leads to the registry
	APIPort      int    // port of 127.0.0.1 that leads to the API server
	BuiltinCNI   bool   // the node image brings a pod network of its own
	CgroupV1     bool   // the engine's machine has cgroup v1
}

// config is kind's form of a Spec.
func (s Spec) config(name string) *v1alpha4.Cluster {
	loopback := func(host, node int) v1alpha4.PortMapping {
		return v1alpha4.PortMapping{ListenAddress: "127.0.0.1", HostPort: int32(host), ContainerPort: int32(node)}
	}
	return &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Name:     name,
		Networking: v1alpha4.Networking{
			APIServerAddress:  "127.0.0.1",
			APIServerPort:     int32(s.APIPort),
			DisableDefaultCNI: s.BuiltinCNI,
			ServiceSubnet:     serviceSubnet,
		},
		KubeadmConfigPatches: s.patches(),
		Nodes: []v1alpha4.Node{{
			Role:  v1alpha4.ControlPlaneRole,
			Image: s.Image,
			ExtraPortMappings: []v1alpha4.PortMapping{
				loopback(s.HTTPPort, GatewayNodePort),
				loopback(s.RegistryPort, RegistryPort),
			},
		}},
	}
}

// clusterPatch makes a control plane for one node and one developer. RSA keys
// take kubeadm a second or two of the first start; elliptic ones take none.
// The controller manager asks for a token for each of its forty controllers
// before it starts them, which its default of 20 requests a second draws out
// over seconds. There is nobody to elect a leader against, and a lease left by a stopped box
// would hold up its next start by 15 seconds. Lists are replaced whole, so
// kind's own argument of the controller manager is said again.
const clusterPatch = `kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
controllerManager:
  extraArgs:
  - {name: enable-hostpath-provisioner, value: "true"}
  - {name: leader-elect, value: "false"}
  - {name: kube-api-qps, value: "200"}
  - {name: kube-api-burst, value: "400"}
scheduler:
  extraArgs:
  - {name: leader-elect, value: "false"}
`

// proxyPatch lets a pod that became ready take traffic at once: kind gathers
// changes of Services for a second, to spare nodes with thousands of them.
const proxyPatch = `kind: KubeProxyConfiguration
iptables:
  minSyncPeriod: 50ms
`

// kubeletPatch pulls images side by side, and starts a container that has
// ended again within a second, however often it has: the ten seconds to five
// minutes that the kubelet takes by default spare a cluster, and here somebody
// waits. It is the least that may be set, and needs Kubernetes 1.35.
const kubeletPatch = `kind: KubeletConfiguration
serializeImagePulls: false
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
`

// cgroupV1Patch lets the kubelet start where the kernel has cgroup v1 and the
// node may not write every sysctl.
const cgroupV1Patch = `failCgroupV1: false
featureGates: {KubeletInUserNamespace: true}
`

func (s Spec) patches() []string {
	kubelet := kubeletPatch
	if s.CgroupV1 {
		kubelet += cgroupV1Patch
	}
	return []string{clusterPatch, proxyPatch, kubelet}
}

// setup is the script that makes a running node ready for images: it waits
// for containerd, makes the registry's folder and tells containerd that
// localhost:<hostPort>, the registry's name on the developer's machine, is
// the same registry. It also keeps the addresses of Services inside: before
// kube-proxy has rewritten one to a pod's, it is an address like any other,
// and a call to it would be routed out of the node into the developer's
// network. A unit sees to that at every start of the node. And it puts nothing
// in the place of a hook of kind's, a shell script of 20 to 40 ms in every
// container's start, which hides the machine's product name and number from
// programs that tell nodes apart by them: a box has one node. The script may
// run any number of times.
func setup(hostPort int) string {
	mirror := fmt.Sprintf("http://127.0.0.1:%d", RegistryPort)
	return fmt.Sprintf(`set -eu
mkdir -p /etc/containerd/certs.d/localhost:%[1]d
printf 'server = "%[2]s"\n[host."%[2]s"]\n  capabilities = ["pull", "resolve"]\n' >/etc/containerd/certs.d/localhost:%[1]d/hosts.toml
cat >/etc/systemd/system/devbox-guard.service <<'UNIT'
[Unit]
Description=Refuse Service addresses that kube-proxy has not rewritten
Before=kubelet.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for chain in FORWARD OUTPUT; do iptables -w -C $$chain -d %[5]s -j REJECT || iptables -w -I $$chain -d %[5]s -j REJECT; done'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now --quiet devbox-guard.service
install -d -o %[4]d -g %[4]d -m 0755 %[3]s
ln -sf /bin/true /kind/bin/mount-product-files.sh
until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do sleep 0.1; done
`, hostPort, mirror, RegistryDir, registryUser, serviceSubnet)
}
