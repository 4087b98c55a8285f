package node

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxPods is how many pods the node says it takes. It takes any number.
const maxPods = 250

// machine is what a Node says of the machine it is on.
type machine struct {
	capacity corev1.ResourceList
	id, boot string
	kernel   string
	system   string
	version  string // of Kubernetes
	since    metav1.Time
}

// thisMachine looks at the machine, and at the disk that dir is on.
func thisMachine(dir string) (machine, error) {
	disk, err := diskSize(dir)
	if err != nil {
		return machine{}, err
	}
	memory, err := memorySize()
	if err != nil {
		return machine{}, err
	}
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		return machine{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return machine{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte(host) // not on Linux
	}
	return machine{
		capacity: corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(maxPods, resource.DecimalSI),
		},
		id:      digest(host),
		boot:    strings.TrimSpace(string(boot)),
		kernel:  unix.ByteSliceToString(names.Release[:]),
		system:  systemName(),
		version: kubernetesVersion(),
		since:   metav1.NewTime(time.Now()),
	}, nil
}

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// systemName is what the operating system calls itself.
func systemName() string {
	file, err := os.Open("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return runtime.GOOS
}

// kubernetesVersion is the version of Kubernetes that this program is built
// with.
func kubernetesVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == "k8s.io/kubernetes" {
			return m.Version
		}
	}
	return "unknown"
}
