package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode fs.FileMode
}

const defaultMode = fs.FileMode(0o644)

// makeVolumes makes the pod's volumes in dir, one directory each. An emptyDir
// of an earlier life of the pod is kept; all others are written anew, and
// then not changed any more: a ConfigMap that changes is seen by the next
// pod, not by this one.
func (s sources) makeVolumes(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, v := range s.pod.Spec.Volumes {
		path := filepath.Join(dir, v.Name)
		if v.EmptyDir != nil {
			if err := makeOpenDir(path); err != nil {
				return fmt.Errorf("making volume %q: %w", v.Name, err)
			}
			continue
		}
		files, err := s.files(ctx, v.VolumeSource)
		if err != nil {
			return fmt.Errorf("making volume %q: %w", v.Name, err)
		}
		if err := writeVolume(path, files); err != nil {
			return fmt.Errorf("making volume %q: %w", v.Name, err)
		}
	}
	return nil
}

// makeOpenDir makes a directory that every user of the pod can write to.
func makeOpenDir(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // whatever the umask
}

// files returns what is in a volume, by path.
func (s sources) files(ctx context.Context, v corev1.VolumeSource) (map[string]file, error) {
	files := map[string]file{}
	switch {
	case v.ConfigMap != nil:
		return files, s.configMapFiles(ctx, files, v.ConfigMap.Name, v.ConfigMap.Items, isTrue(v.ConfigMap.Optional), v.ConfigMap.DefaultMode)
	case v.Secret != nil:
		return files, s.secretFiles(ctx, files, v.Secret.SecretName, v.Secret.Items, isTrue(v.Secret.Optional), v.Secret.DefaultMode)
	case v.DownwardAPI != nil:
		return files, s.downwardFiles(files, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected != nil:
		for _, p := range v.Projected.Sources {
			if err := s.projectedFiles(ctx, files, p, v.Projected.DefaultMode); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	return nil, errors.New("the embedded engine has no such volume")
}

func (s sources) projectedFiles(ctx context.Context, files map[string]file, p corev1.VolumeProjection, mode *int32) error {
	switch {
	case p.ConfigMap != nil:
		return s.configMapFiles(ctx, files, p.ConfigMap.Name, p.ConfigMap.Items, isTrue(p.ConfigMap.Optional), mode)
	case p.Secret != nil:
		return s.secretFiles(ctx, files, p.Secret.Name, p.Secret.Items, isTrue(p.Secret.Optional), mode)
	case p.DownwardAPI != nil:
		return s.downwardFiles(files, p.DownwardAPI.Items, mode)
	}
	return errors.New("the embedded engine has no such volume")
}

func (s sources) configMapFiles(ctx context.Context, files map[string]file, name string, items []corev1.KeyToPath, optional bool, mode *int32) error {
	data, err := s.configMap(ctx, name, optional)
	if err != nil {
		return err
	}
	return keyFiles(files, data, items, optional, mode)
}

func (s sources) secretFiles(ctx context.Context, files map[string]file, name string, items []corev1.KeyToPath, optional bool, mode *int32) error {
	data, err := s.secret(ctx, name, optional)
	if err != nil {
		return err
	}
	return keyFiles(files, data, items, optional, mode)
}

// keyFiles adds one file for every key, or for every item where there are any.
func keyFiles(files map[string]file, data map[string][]byte, items []corev1.KeyToPath, optional bool, mode *int32) error {
	if len(items) == 0 {
		for key, value := range data {
			files[key] = file{value, fileMode(mode)}
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		switch {
		case ok:
			files[item.Path] = file{value, fileMode(item.Mode, mode)}
		case !optional:
			return fmt.Errorf("references non-existent key: %s", item.Key)
		}
	}
	return nil
}

func (s sources) downwardFiles(files map[string]file, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		var (
			value string
			err   error
		)
		if item.FieldRef != nil {
			value, err = s.field(item.FieldRef.FieldPath)
		} else if item.ResourceFieldRef != nil {
			value, err = s.resource(item.ResourceFieldRef.ContainerName, item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		files[item.Path] = file{[]byte(value), fileMode(item.Mode, mode)}
	}
	return nil
}

func fileMode(modes ...*int32) fs.FileMode {
	if m := first(modes...); m != nil {
		return fs.FileMode(*m).Perm()
	}
	return defaultMode
}

// writeVolume makes path a directory with these files. Nobody ever sees a
// part of them.
func writeVolume(path string, files map[string]file) (err error) {
	made, err := os.MkdirTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	for name, f := range files {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s is not a path within a volume", name)
		}
		to := filepath.Join(made, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, f.data, 0o600); err != nil {
			return err
		}
		if err := os.Chmod(to, f.mode); err != nil { // whatever the umask
			return err
		}
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// mounts returns where c finds the pod's volumes, which are in dir.
func mounts(pod *corev1.PodSpec, c *corev1.Container, dir string, values map[string]string) ([]runner.Mount, error) {
	var all []runner.Mount
	for _, m := range c.VolumeMounts {
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expansion.Expand(m.SubPathExpr, expansion.MappingFuncFor(values))
		}
		source, err := within(filepath.Join(dir, m.Name), sub)
		if err != nil {
			return nil, fmt.Errorf("mounting volume %q: %w", m.Name, err)
		}
		all = append(all, runner.Mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly || !isEmptyDir(pod, m.Name)})
	}
	return all, nil
}

// within returns the path of sub in volume, where symbolic links may not lead
// out of. It is made a directory if there is nothing.
func within(volume, sub string) (string, error) {
	if sub == "" {
		return volume, nil
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return "", err
	}
	_, err = root.Stat(sub)
	if errors.Is(err, fs.ErrNotExist) {
		err = root.MkdirAll(sub, 0o755)
	}
	return filepath.Join(volume, sub), errors.Join(err, root.Close())
}

// isEmptyDir says whether containers may write to the volume.
func isEmptyDir(pod *corev1.PodSpec, volume string) bool {
	for _, v := range pod.Volumes {
		if v.Name == volume {
			return v.EmptyDir != nil
		}
	}
	return false
}
