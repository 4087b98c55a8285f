package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// uploads are blobs on their way in. One is begun with POST, grows with each
// PATCH and becomes a blob with PUT; or it is all in one POST.
type uploads struct {
	blobs *blobs

	mu   sync.Mutex
	open map[string]*upload
}

// upload is one blob on its way. Its requests come one after the other, and
// mu makes sure of it.
type upload struct {
	mu   sync.Mutex
	file *os.File
	hash hash.Hash
	size int64
}

func newUploads(b *blobs) *uploads { return &uploads{blobs: b, open: map[string]*upload{}} }

func (u *uploads) serve(w http.ResponseWriter, r *http.Request, repository, id string) {
	switch {
	case r.Method == http.MethodPost && id == "":
		u.begin(w, r, repository)
	case r.Method == http.MethodPatch:
		u.grow(w, r, repository, id)
	case r.Method == http.MethodPut:
		u.finish(w, r, id)
	case r.Method == http.MethodDelete:
		if up := u.take(id); up != nil {
			up.discard()
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "uploads take POST, PATCH, PUT and DELETE")
	}
}

// begin opens an upload, or is all of it: where the blob is known already, or
// where the request says its digest and brings it.
func (u *uploads) begin(w http.ResponseWriter, r *http.Request, repository string) {
	if h, err := v1.NewHash(r.URL.Query().Get("mount")); err == nil {
		if _, err := u.blobs.Stat(r.Context(), repository, h); err == nil {
			created(w, h)
			return
		}
	}
	id := strings.ToLower(rand.Text())
	file, err := os.OpenFile(filepath.Join(u.blobs.uploads, id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		refuseError(w, fmt.Errorf("beginning an upload: %w", err))
		return
	}
	up := &upload{file: file, hash: sha256.New()}
	u.mu.Lock()
	u.open[id] = up
	u.mu.Unlock()
	if r.URL.Query().Has("digest") {
		u.finish(w, r, id)
		return
	}
	accepted(w, repository, id, up.size)
}

// grow appends to an upload.
func (u *uploads) grow(w http.ResponseWriter, r *http.Request, repository, id string) {
	u.mu.Lock()
	up := u.open[id]
	u.mu.Unlock()
	if up == nil {
		refuseUnknown(w)
		return
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if span := r.Header.Get("Content-Range"); span != "" {
		var start, end int64
		if _, err := fmt.Sscanf(span, "%d-%d", &start, &end); err != nil || start != up.size {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID",
				fmt.Sprintf("the next chunk begins at %d, not at %q", up.size, span))
			return
		}
	}
	if err := up.append(r.Body); err != nil {
		u.take(id)
		up.discard()
		refuseError(w, fmt.Errorf("storing an upload: %w", err))
		return
	}
	accepted(w, repository, id, up.size)
}

// finish appends what the request brings and makes a blob of it, if it is
// what the request says it is.
func (u *uploads) finish(w http.ResponseWriter, r *http.Request, id string) {
	up := u.take(id)
	if up == nil {
		refuseUnknown(w)
		return
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	defer up.discard()
	want, err := v1.NewHash(r.URL.Query().Get("digest"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", err.Error())
		return
	}
	if err := up.append(r.Body); err != nil {
		refuseError(w, fmt.Errorf("storing an upload: %w", err))
		return
	}
	if got := (v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(up.hash.Sum(nil))}); got != want {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", fmt.Sprintf("what came is %s, not %s", got, want))
		return
	}
	if err := u.blobs.add(up.file.Name(), want); err != nil {
		refuseError(w, fmt.Errorf("storing a blob: %w", err))
		return
	}
	created(w, want)
}

// take is the upload of an id, which is no longer open after it.
func (u *uploads) take(id string) *upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.open[id]
	delete(u.open, id)
	return up
}

func (up *upload) append(from io.Reader) error {
	n, err := io.Copy(io.MultiWriter(up.file, up.hash), from)
	up.size += n
	return err
}

// discard closes the file and removes it, unless it became a blob.
func (up *upload) discard() {
	_ = up.file.Close()
	_ = os.Remove(up.file.Name())
}

func accepted(w http.ResponseWriter, repository, id string, size int64) {
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.Header().Set("Docker-Upload-UUID", id)
	w.WriteHeader(http.StatusAccepted)
}

func created(w http.ResponseWriter, h v1.Hash) {
	w.Header().Set("Docker-Content-Digest", h.String())
	w.WriteHeader(http.StatusCreated)
}

func refuseUnknown(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload: begin it again")
}

// refuseError answers for what is the registry's own fault.
func refuseError(w http.ResponseWriter, err error) {
	refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
}

// refuse answers in the distribution specification's form.
func refuse(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}}) // it fails when the client has gone
}
