package app

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/exec"
)

// TestEndOfACommand: its exit code is ours, and one that is not there has a
// shell's.
func TestEndOfACommand(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "hello-1"}}
	const runc = "Internal error occurred: error executing command in container: failed to exec in container: failed to start exec \"1\": OCI runtime exec failed: exec failed: unable to start container process: "
	for words, c := range map[string]struct {
		err  error
		code int
		want string
	}{
		"ended":                      {exec.CodeExitError{Err: errors.New("it ended"), Code: 3}, 3, "the command in pod hello-1 ended with exit code 3"},
		"embedded, in no folder":     {errors.New("Internal error occurred: error executing command in container: running ls: no such program in the image's PATH (/bin)"), 127, "the image of pod hello-1 has no program ls"},
		"embedded, by its path":      {errors.New("Internal error occurred: error executing command in container: running /ls: no such file in the image"), 127, "the image of pod hello-1 has no program ls"},
		"kind, in no folder":         {errors.New(runc + `exec: "ls": executable file not found in $PATH: unknown`), 127, "the image of pod hello-1 has no program ls"},
		"kind, by its path":          {errors.New(runc + `exec: "/ls": stat /ls: no such file or directory: unknown`), 127, "the image of pod hello-1 has no program ls"},
		"another thing is not there": {errors.New("open kubeconfig: no such file or directory"), codeFailure, "open kubeconfig: no such file or directory"},
	} {
		err := ofCommand(pod, "ls", c.err)
		p, ok := errors.AsType[*problem](err)
		if !ok || p.code != c.code || err.Error() != c.want || (p.next != "") != (c.code == codeMissing) {
			t.Errorf("%s: %v, %+v; want %d, %q", words, err, p, c.code, c.want)
		}
	}
	if err := ofCommand(pod, "ls", nil); err != nil {
		t.Errorf("of a good end: %v", err)
	}
}
