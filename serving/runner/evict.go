package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// hold keeps an image, which may still be on its way, until it is released.
func (s *store) hold(image v1.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[image]++
}

// release lets go of an image, and removes what is too much now.
func (s *store) release(image v1.Hash) {
	s.mu.Lock()
	if s.held[image]--; s.held[image] == 0 {
		delete(s.held, image)
	}
	if i := s.images[image]; i != nil {
		i.used = time.Now()
		_ = os.Chtimes(s.imageFile(image), i.used, i.used) // it only says what goes first after a restart
	}
	s.mu.Unlock()
	s.evict()
}

// claim keeps the layers of an image that is on its way.
func (s *store) claim(layers []v1.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range layers {
		s.claimed[l]++
	}
}

func (s *store) disclaim(layers []v1.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range layers {
		if s.claimed[l]--; s.claimed[l] == 0 {
			delete(s.claimed, l)
		}
	}
}

// evict removes layers that nothing needs, and of the images that nobody
// holds the longest unused, until what is left of their layers is no more
// than the store keeps. Files go after the lock: they may be many.
func (s *store) evict() {
	s.mu.Lock()
	trash := s.surplus()
	s.mu.Unlock()
	for _, dir := range trash {
		if err := RemoveAll(dir); err != nil {
			s.log.Warn("an unused layer stays until the next start", "error", fmt.Errorf("removing it: %w", err))
		}
	}
}

// surplus forgets what has to go and returns the directories to remove.
func (s *store) surplus() (trash []string) {
	for {
		needed, kept, idle := s.census()
		for l := range s.layers {
			if !needed[l] && !kept[l] {
				trash = append(trash, s.drop(l)...)
			}
		}
		var total int64
		for l := range kept {
			if record := s.layers[l]; record != nil {
				total += record.Size
			}
		}
		if total <= s.keep || idle == nil {
			return trash
		}
		s.forget(*idle)
	}
}

// census tells the layers that images in use need from those that only idle
// images have, and names the idle image that was not used for longest.
func (s *store) census() (needed, kept map[v1.Hash]bool, oldest *v1.Hash) {
	needed, kept = map[v1.Hash]bool{}, map[v1.Hash]bool{}
	for l := range s.claimed {
		needed[l] = true
	}
	for digest, i := range s.images {
		if s.held[digest] > 0 {
			for _, l := range i.Layers {
				needed[l] = true
			}
		}
	}
	for digest, i := range s.images {
		if s.held[digest] > 0 {
			continue
		}
		for _, l := range i.Layers {
			if !needed[l] {
				kept[l] = true
			}
		}
		if oldest == nil || i.used.Before(s.images[*oldest].used) {
			oldest = &digest
		}
	}
	return needed, kept, oldest
}

// drop takes a layer out of the way and returns where it is now.
func (s *store) drop(layer v1.Hash) []string {
	delete(s.layers, layer)
	to, err := os.MkdirTemp(filepath.Join(s.dir, "layers"), temporary)
	if err == nil {
		err = os.Rename(s.layerDir(layer), filepath.Join(to, "layer"))
	}
	if err != nil {
		s.log.Warn("an unused layer stays", "error", fmt.Errorf("moving it out of the way: %w", err))
	}
	return []string{to}
}

// forget removes what is known of an image.
func (s *store) forget(image v1.Hash) {
	delete(s.images, image)
	_ = os.Remove(s.imageFile(image)) // without its layers it does not count anyway
	for ref, digest := range s.tags {
		if digest == image {
			delete(s.tags, ref)
			_ = os.Remove(s.tagFile(ref))
		}
	}
}
