package registry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest is what the distribution specification asks a registry to take
// at least.
const maxManifest = 4 << 20

// record is a manifest as it lies on disk.
type record struct {
	ContentType string `json:"contentType"`
	Manifest    []byte `json:"manifest"`

	repository string
	digest     v1.Hash
	age        time.Time // when it was last pushed
	blobs      []v1.Descriptor
	manifests  []v1.Hash
}

// records are all manifests and tags: on disk for the next start, and in the
// reader, which answers from memory.
type records struct {
	root   string
	keep   int
	blobs  *blobs
	reader http.Handler
	log    *slog.Logger
	pushed func(image string)

	mu  sync.Mutex
	all map[string][]*record // by repository, the oldest first
}

// newRecords reads what is on disk and tells it to the reader.
func newRecords(root string, keep int, blobs *blobs, reader http.Handler, log *slog.Logger) (*records, error) {
	rs := &records{root: root, keep: keep, blobs: blobs, reader: reader, log: log, all: map[string][]*record{}}
	if err := rs.load(); err != nil {
		return nil, err
	}
	return rs, rs.sweep()
}

// put stores a manifest, and is how an image arrives: all it needs must be
// there, so that nobody can pull half an image.
func (rs *records) put(w http.ResponseWriter, r *http.Request, repository, reference string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	rec, err := newRecord(repository, r.Header.Get("Content-Type"), body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	if strings.Contains(reference, ":") && reference != rec.digest.String() {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", fmt.Sprintf("the manifest is %s", rec.digest))
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if err := rec.complete(rs.blobs); err != nil {
		refuse(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", err.Error())
		return
	}
	answer := rs.ask(http.MethodPut, rec, reference)
	if answer.status == http.StatusCreated {
		if err := rs.keepOnDisk(rec, reference); err != nil {
			refuseError(w, fmt.Errorf("storing a manifest: %w", err))
			return
		}
		rs.add(rec)
		if err := rs.sweep(); err != nil {
			rs.log.Warn("old images stay", "error", err)
		}
		rs.pushed(repository + "@" + rec.digest.String())
	}
	answer.copyTo(w)
}

// delete forgets a tag, or a manifest with the tags that stand for it.
func (rs *records) delete(w http.ResponseWriter, _ *http.Request, repository, reference string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if !strings.Contains(reference, ":") {
		rs.dropTag(repository, reference)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	i := slices.IndexFunc(rs.all[repository], func(r *record) bool { return r.digest.String() == reference })
	if i < 0 {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no such manifest")
		return
	}
	rs.drop(rs.all[repository][i])
	w.WriteHeader(http.StatusAccepted)
}

// newRecord reads what a manifest needs.
func newRecord(repository, contentType string, body []byte) (*record, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	rec := &record{ContentType: contentType, Manifest: body, repository: repository, digest: digest, age: time.Now()}
	if types.MediaType(contentType).IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		for _, d := range index.Manifests {
			rec.manifests = append(rec.manifests, d.Digest)
		}
		return rec, nil
	}
	m, err := v1.ParseManifest(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	rec.blobs = append([]v1.Descriptor{m.Config}, m.Layers...)
	return rec, nil
}

// complete says which blob is missing or cut short, if any is.
func (r *record) complete(b *blobs) error {
	for _, d := range r.blobs {
		if !d.MediaType.IsDistributable() {
			continue
		}
		size, err := b.size(d.Digest)
		if err != nil {
			return fmt.Errorf("blob %s: %w", d.Digest, err)
		}
		if size != d.Size {
			return fmt.Errorf("blob %s has %d bytes, not %d", d.Digest, size, d.Size)
		}
	}
	return nil
}

// add makes a record the newest of its repository.
func (rs *records) add(rec *record) {
	others := slices.DeleteFunc(rs.all[rec.repository], func(r *record) bool { return r.digest == rec.digest })
	rs.all[rec.repository] = append(others, rec)
}

// ask puts a manifest into the reader or deletes it there.
func (rs *records) ask(method string, rec *record, reference string) *answer {
	r := &http.Request{
		Method: method,
		URL:    &url.URL{Path: "/v2/" + rec.repository + "/manifests/" + reference},
		Header: http.Header{"Content-Type": {rec.ContentType}},
		Body:   io.NopCloser(bytes.NewReader(rec.Manifest)),
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	rs.reader.ServeHTTP(a, r)
	return a
}

// answer is a response that is kept.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) copyTo(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.status)
	_, _ = a.body.WriteTo(w) // it fails when the client has gone
}

// manifestFile is where a record lies. Repositories have slashes in their
// names, folders must not.
func (rs *records) manifestFile(repository string, digest v1.Hash) string {
	return filepath.Join(rs.root, "manifests", url.PathEscape(repository), digest.Hex)
}

func (rs *records) tagFile(repository, tag string) string {
	return filepath.Join(rs.root, "tags", url.PathEscape(repository), tag)
}

func (rs *records) keepOnDisk(rec *record, reference string) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := rs.write(rs.manifestFile(rec.repository, rec.digest), data); err != nil {
		return err
	}
	if strings.Contains(reference, ":") {
		return nil
	}
	return rs.write(rs.tagFile(rec.repository, reference), []byte(rec.digest.String()))
}

// write replaces a file whole.
func (rs *records) write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(rs.blobs.uploads, "record-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone if all went well
	_, err = tmp.Write(data)
	if err := cmp.Or(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
