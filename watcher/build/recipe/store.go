package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Store keeps what was compiled and linked, by what it was made of, in a
// folder: the packages that several programs share are compiled once. It is
// safe for concurrent use.
type Store struct {
	dir  string
	most int64 // bytes

	mu     sync.Mutex
	making map[string]chan struct{} // closed when one who makes it has ended
	kept   []kept                   // the last used last
	size   int64
}

type kept struct {
	key  string
	size int64
}

// NewStore keeps in a folder what takes up to a number of bytes. What was not
// used for the longest goes first.
func NewStore(dir string, most int64) *Store {
	return &Store{dir: dir, most: most, making: map[string]chan struct{}{}}
}

// get is the path of what is kept by a key, having had it made at a path where
// it was not. made says whether it was. Who asks for what another makes waits
// for that.
func (s *Store) get(ctx context.Context, key string, produce func(path string) error) (path string, made bool, err error) {
	path = filepath.Join(s.dir, key)
	for {
		s.mu.Lock()
		if s.use(key) {
			s.mu.Unlock()
			return path, false, nil
		}
		others := s.making[key]
		if others == nil {
			s.making[key] = make(chan struct{})
		}
		s.mu.Unlock()
		if others == nil {
			return path, true, s.produce(key, path, produce)
		}
		select {
		case <-others: // who may have failed, or been cancelled
		case <-ctx.Done():
			return "", false, context.Cause(ctx)
		}
	}
}

func (s *Store) produce(key, path string, produce func(path string) error) error {
	err := produce(path + ".new")
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.making[key])
	delete(s.making, key)
	if err != nil {
		_ = os.Remove(path + ".new") // it may not be there
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("keeping what was compiled: %w", err)
	}
	s.kept = append(s.kept, kept{key, info.Size()})
	s.size += info.Size()
	for len(s.kept) > 1 && s.size > s.most {
		_ = os.Remove(filepath.Join(s.dir, s.kept[0].key)) // it is in a folder that goes as a whole
		s.size -= s.kept[0].size
		s.kept = s.kept[1:]
	}
	return nil
}

// use says whether there is something by a key, which is the last used then.
func (s *Store) use(key string) bool {
	for i, k := range s.kept {
		if k.key == key {
			s.kept = append(append(s.kept[:i:i], s.kept[i+1:]...), k)
			return true
		}
	}
	return false
}
