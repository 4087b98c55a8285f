package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// load reads the manifests and tags on disk, the oldest first, and tells them
// to the reader. What a crash left incomplete is dropped.
func (rs *records) load() error {
	var found []*record
	err := eachFile(filepath.Join(rs.root, "manifests"), func(repository, name, file string) error {
		rec, err := readRecord(repository, name, file)
		if err == nil {
			err = rec.complete(rs.blobs)
		}
		if err != nil {
			rs.log.Warn("dropping an image", "repository", repository, "manifest", name, "error", err)
			return os.Remove(file)
		}
		found = append(found, rec)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b *record) int {
		if n := len(a.manifests) - len(b.manifests); n != 0 && (len(a.manifests) == 0 || len(b.manifests) == 0) {
			return n // images before the indexes that name them
		}
		return a.age.Compare(b.age)
	})
	for _, rec := range found {
		if a := rs.ask(http.MethodPut, rec, rec.digest.String()); a.status != http.StatusCreated {
			rs.log.Warn("dropping an index", "repository", rec.repository, "manifest", rec.digest, "error", a.body.String())
			continue
		}
		rs.add(rec)
	}
	for _, recs := range rs.all {
		slices.SortStableFunc(recs, func(a, b *record) int { return a.age.Compare(b.age) })
	}
	return rs.loadTags()
}

func (rs *records) loadTags() error {
	return eachFile(filepath.Join(rs.root, "tags"), func(repository, tag, file string) error {
		digest, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rs.all[repository], func(r *record) bool { return r.digest.String() == string(digest) })
		if i < 0 {
			return os.Remove(file)
		}
		rs.ask(http.MethodPut, rs.all[repository][i], tag)
		return nil
	})
}

func readRecord(repository, name, file string) (*record, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var stored record
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, err
	}
	rec, err := newRecord(repository, stored.ContentType, stored.Manifest)
	if err != nil {
		return nil, err
	}
	if rec.digest != (v1.Hash{Algorithm: "sha256", Hex: name}) {
		return nil, fmt.Errorf("its content is %s", rec.digest)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	rec.age = info.ModTime()
	return rec, nil
}

// eachFile calls f for the files of each repository's folder.
func eachFile(dir string, f func(repository, name, file string) error) error {
	folders, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, folder := range folders {
		repository, err := url.PathUnescape(folder.Name())
		if err != nil {
			return err
		}
		files, err := os.ReadDir(filepath.Join(dir, folder.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := f(repository, file.Name(), filepath.Join(dir, folder.Name(), file.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
