package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// contextName is the box's entry in a person's kubeconfig.
func contextName(box string) string { return "devbox-" + box }

// ours is the extension that marks the entries we made, because only these
// are ours to remove.
const ours = "devbox.dev/box"

// userKubeconfigs are the files that kubectl reads, and the one it writes.
func userKubeconfigs() (read []string, write string) {
	paths := clientcmd.NewDefaultPathOptions()
	return paths.GetLoadingPrecedence(), paths.GetDefaultFilename()
}

// mergeKubeconfig puts the cluster of the box's private kubeconfig into file,
// as the context, cluster and user named context. It becomes the current
// context only where there is none.
func mergeKubeconfig(private, file, context string) error {
	box, err := clientcmd.LoadFromFile(private)
	if err != nil {
		return fmt.Errorf("reading the box's kubeconfig: %w", err)
	}
	current, ok := box.Contexts[box.CurrentContext]
	if !ok || box.Clusters[current.Cluster] == nil || box.AuthInfos[current.AuthInfo] == nil {
		return fmt.Errorf("reading the box's kubeconfig: %s has no complete context %q", private, box.CurrentContext)
	}
	return editKubeconfig(file, func(config *api.Config) (bool, error) {
		if existing := config.Contexts[context]; existing != nil && existing.Extensions[ours] == nil {
			return false, fmt.Errorf("context %q is there already, and devbox did not make it", context)
		}
		config.Clusters[context] = box.Clusters[current.Cluster].DeepCopy()
		config.AuthInfos[context] = box.AuthInfos[current.AuthInfo].DeepCopy()
		entry := api.NewContext()
		entry.Cluster, entry.AuthInfo = context, context
		entry.Extensions = map[string]runtime.Object{
			ours: &runtime.Unknown{Raw: []byte(`{}`), ContentType: runtime.ContentTypeJSON},
		}
		config.Contexts[context] = entry
		if config.CurrentContext == "" {
			config.CurrentContext = context
		}
		return true, nil
	})
}

// unmergeKubeconfig removes what mergeKubeconfig has put into file, and says
// whether there was anything. A file that is not there is left so.
func unmergeKubeconfig(file, context string) (removed bool, err error) {
	if config, err := clientcmd.LoadFromFile(file); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err == nil && config.Contexts[context] == nil {
		return false, nil // without touching a file that need not be touched
	}
	err = editKubeconfig(file, func(config *api.Config) (bool, error) {
		entry := config.Contexts[context]
		removed = entry != nil && entry.Extensions[ours] != nil
		if !removed {
			return false, nil
		}
		delete(config.Clusters, entry.Cluster)
		delete(config.AuthInfos, entry.AuthInfo)
		delete(config.Contexts, context)
		if config.CurrentContext == context {
			config.CurrentContext = ""
		}
		return true, nil
	})
	return removed, err
}

// editKubeconfig changes file as a whole or not at all, under the lock that
// kubectl takes too. edit says whether it changed anything.
func editKubeconfig(file string, edit func(*api.Config) (changed bool, err error)) error {
	file, err := destination(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	unlock, err := lock(file)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer unlock()

	config, err := clientcmd.LoadFromFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		config = api.NewConfig()
	case err != nil:
		return fmt.Errorf("reading %s: %w", file, err)
	}
	changed, err := edit(config)
	if err != nil || !changed {
		return err
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return replace(file, content)
}

// destination follows symbolic links, so that a link stays one when the file
// behind it is replaced.
func destination(file string) (string, error) {
	real, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	return real, nil
}

// lockPatience is how long another program may hold the lock; it is held for
// as long as writing a small file takes.
const lockPatience = 2 * time.Second

// lock takes kubectl's lock of a kubeconfig: a file beside it.
func lock(file string) (unlock func(), err error) {
	path := file + ".lock"
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			_ = f.Close() // an empty file has nothing left to write
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another program holds %s; remove it if none does", path)
		}
	}
}

// replace puts content in the place of file in one step. It refuses a file
// that its owner has made read-only, which a rename alone would not mind.
func replace(file string, content []byte) error {
	mode := fs.FileMode(0o600)
	switch info, err := os.Stat(file); {
	case err == nil:
		mode = info.Mode().Perm()
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
		_ = f.Close() // nothing was written by it
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing %s: %w", file, err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone already if all went well
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
