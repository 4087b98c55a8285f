package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// sweep forgets the oldest images of each repository beyond the number to
// keep, and then the blobs that no image needs.
func (rs *records) sweep() error {
	for _, recs := range rs.all {
		for _, rec := range surplus(recs, rs.keep) {
			rs.drop(rec)
		}
	}
	needed := map[v1.Hash]bool{}
	for _, recs := range rs.all {
		for _, rec := range recs {
			for _, d := range rec.blobs {
				needed[d.Digest] = true
			}
		}
	}
	freed, err := rs.blobs.sweep(needed, time.Now())
	if freed > 0 {
		rs.log.Info("old images went", "bytes", freed)
	}
	return err
}

// surplus are the records that go when keep images stay. What an index names
// goes and stays with the index.
func surplus(recs []*record, keep int) []*record {
	parts := map[v1.Hash]bool{}
	for _, rec := range recs {
		for _, h := range rec.manifests {
			parts[h] = true
		}
	}
	images := slices.DeleteFunc(slices.Clone(recs), func(r *record) bool { return parts[r.digest] })
	if len(images) <= keep {
		return nil
	}
	going := map[v1.Hash]bool{}
	for _, rec := range images[:len(images)-keep] {
		going[rec.digest] = true
		for _, h := range rec.manifests {
			going[h] = true
		}
	}
	for _, rec := range images[len(images)-keep:] {
		for _, h := range rec.manifests {
			delete(going, h)
		}
	}
	return slices.DeleteFunc(slices.Clone(recs), func(r *record) bool { return !going[r.digest] })
}

// drop forgets a manifest and the tags that stand for it.
func (rs *records) drop(rec *record) {
	rs.all[rec.repository] = slices.DeleteFunc(rs.all[rec.repository], func(r *record) bool { return r == rec })
	rs.ask(http.MethodDelete, rec, rec.digest.String())
	rs.remove(rs.manifestFile(rec.repository, rec.digest))
	tags, err := os.ReadDir(filepath.Join(rs.root, "tags", url.PathEscape(rec.repository)))
	if err != nil {
		return // it has no tags
	}
	for _, tag := range tags {
		digest, err := os.ReadFile(rs.tagFile(rec.repository, tag.Name()))
		if err == nil && string(digest) == rec.digest.String() {
			rs.dropTag(rec.repository, tag.Name())
		}
	}
}

func (rs *records) dropTag(repository, tag string) {
	rs.ask(http.MethodDelete, &record{repository: repository}, tag)
	rs.remove(rs.tagFile(repository, tag))
}

func (rs *records) remove(file string) {
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		rs.log.Warn("a file stays", "error", fmt.Errorf("removing a record: %w", err))
	}
}
