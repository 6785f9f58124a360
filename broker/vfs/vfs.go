package vfs

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// File is an open file. Offsets are absolute: there is no cursor.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error               // fdatasync
	Size() (int64, error)      // length in bytes
	Truncate(size int64) error // cuts or extends with zeros
	Allocate(size int64) error // reserves and sets the length to at least size
	Zero(from, to int64) error // fills a part of a new file with zeros, past the page cache where that is possible
}

// FS is a file system.
type FS interface {
	Create(name string) (File, error) // read-write, emptied when it exists
	Open(name string) (File, error)   // read-write, must exist
	OpenRead(name string) (File, error)
	Remove(name string) error
	Rename(from, to string) error
	MkdirAll(dir string) error
	List(dir string) ([]string, error) // base names, sorted
	SyncDir(dir string) error
	// Usage is the size of the file system that holds dir and what is free for us, bytes.
	Usage(dir string) (total, free int64, err error)
	// Lock takes an exclusive lock on a file that dies with the process; a second taker gets ErrLocked.
	Lock(name string) (io.Closer, error)
}

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("vfs: locked by another process")

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fs FS, name string, limit int64) ([]byte, error) {
	f, err := fs.OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", name, err)
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", name, size, limit)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// WriteFileAtomic replaces a file as a whole: after a crash it holds the old bytes or the new ones.
func WriteFileAtomic(fs FS, name string, data []byte) error {
	temporary := name + ".tmp"
	if err := writeSynced(fs, temporary, data); err != nil {
		return err
	}
	if err := fs.Rename(temporary, name); err != nil {
		return fmt.Errorf("rename %s: %w", temporary, err)
	}
	return fs.SyncDir(filepath.Dir(name))
}

func writeSynced(fs FS, name string, data []byte) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return f.Close()
}
