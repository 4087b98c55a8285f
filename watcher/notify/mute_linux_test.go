package notify

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestAnOverlayIsMute: a file that is changed in the lower layer is seen in
// the merged folder.
func TestAnOverlayIsMute(t *testing.T) {
	root := t.TempDir()
	lower, merged := filepath.Join(root, "lower"), filepath.Join(root, "merged")
	save(t, filepath.Join(lower, "main.go"))
	for _, dir := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := "lowerdir=" + lower + ",upperdir=" + filepath.Join(root, "upper") + ",workdir=" + filepath.Join(root, "work")
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Skipf("this machine lets nobody mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(merged, syscall.MNT_DETACH) })
	out := watch(t, Set{Dirs: []string{merged}, Relevant: goFile})
	// Nothing tells when it has been looked at first, so it changes until it is seen.
	for saved := time.NewTicker(pollEvery); ; {
		select {
		case b := <-out:
			if want := []string{filepath.Join(merged, "main.go")}; !slices.Equal(b.Files, want) {
				t.Errorf("changed are %v, want %v", b.Files, want)
			}
			return
		case <-saved.C:
			save(t, filepath.Join(lower, "main.go"))
		}
	}
}
