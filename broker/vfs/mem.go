package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// sector is the unit that a torn write keeps or loses.
const sector = 512

// Mem is a file system in memory that remembers what is durable. Names become durable by SyncDir, bytes by Sync.
type Mem struct {
	mu struct {
		sync.Mutex
		names   map[string]*memNode // what is visible
		durable map[string]*memNode // what a crash keeps of the names
		locks   map[string]bool
	}
	// Capacity limits the sum of all files' bytes; 0 is no limit. Beyond it writes fail with ErrNoSpace.
	Capacity int64
}

// ErrNoSpace is Mem's full disk.
var ErrNoSpace = fmt.Errorf("vfs: no space left on device")

type memNode struct {
	data   []byte
	synced []byte       // as of the last Sync
	dirty  map[int]bool // sectors written since
}

// NewMem is an empty disk.
func NewMem() *Mem {
	m := &Mem{}
	m.mu.names, m.mu.durable, m.mu.locks = map[string]*memNode{}, map[string]*memNode{}, map[string]bool{}
	return m
}

// Crash is the disk as a power loss now would leave it: names that were not synced to their directory are gone (or came
// back, when their removal was not synced); of the sectors written since a file's last Sync, rng keeps some.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	after.Capacity = m.Capacity
	for _, name := range sortedNames(m.mu.durable) {
		node := m.mu.durable[name].crash(rng)
		after.mu.names[name], after.mu.durable[name] = node, node
	}
	return after
}

// Kill is the disk after its process was killed: everything that was written is still there, as durable as it was, and no lock
// is held.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem()
	after.Capacity = m.Capacity
	for name, n := range m.mu.names {
		after.mu.names[name] = n
	}
	for name, n := range m.mu.durable {
		after.mu.durable[name] = n
	}
	return after
}

func sortedNames(nodes map[string]*memNode) []string {
	names := make([]string, 0, len(nodes))
	for n := range nodes {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (n *memNode) crash(rng *rand.Rand) *memNode {
	size := len(n.synced)
	if len(n.data) > size && rng.IntN(2) == 0 {
		size = len(n.data)
	}
	if len(n.data) < size && rng.IntN(2) == 0 {
		size = len(n.data)
	}
	out := make([]byte, size)
	copy(out, n.synced)
	var dirty []int
	for s := range n.dirty {
		dirty = append(dirty, s)
	}
	sort.Ints(dirty)
	for _, s := range dirty {
		from, to := s*sector, min((s+1)*sector, size, len(n.data))
		if from < to && rng.IntN(2) == 0 {
			copy(out[from:to], n.data[from:to])
		}
	}
	return &memNode{data: out, synced: append([]byte(nil), out...), dirty: map[int]bool{}}
}

// sync makes what is visible durable: the sectors that were written since, and the length.
func (n *memNode) sync() {
	size := len(n.data)
	if size < len(n.synced) {
		n.synced = n.synced[:size:size]
	} else if more := size - len(n.synced); more > 0 {
		n.synced = append(n.synced, make([]byte, more)...)
	}
	for s := range n.dirty {
		if from, to := s*sector, min((s+1)*sector, size); from < to {
			copy(n.synced[from:to], n.data[from:to])
		}
	}
	clear(n.dirty)
}

type memFile struct {
	m *Mem
	n *memNode
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &memNode{dirty: map[int]bool{}}
	m.mu.names[filepath.Clean(name)] = n
	return &memFile{m, n}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.mu.names[filepath.Clean(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{m, n}, nil
}

// OpenRead implements FS.
func (m *Mem) OpenRead(name string) (File, error) { return m.Open(name) }

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.mu.names[filepath.Clean(name)]; !ok {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.mu.names, filepath.Clean(name))
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.mu.names[filepath.Clean(from)]
	if !ok {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(m.mu.names, filepath.Clean(from))
	m.mu.names[filepath.Clean(to)] = n
	return nil
}

// MkdirAll implements FS; directories are implied.
func (m *Mem) MkdirAll(string) error { return nil }

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.mu.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, filepath.Base(name))
		}
	}
	sort.Strings(names)
	return names, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	prefix := filepath.Clean(dir)
	for name := range m.mu.durable {
		if filepath.Dir(name) == prefix && m.mu.names[name] == nil {
			delete(m.mu.durable, name)
		}
	}
	for name, n := range m.mu.names {
		if filepath.Dir(name) == prefix {
			m.mu.durable[name] = n
		}
	}
	return nil
}

// Usage implements FS.
func (m *Mem) Usage(string) (total, free int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Capacity == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return m.Capacity, m.Capacity - m.usedLocked(), nil
}

func (m *Mem) usedLocked() (sum int64) {
	for _, n := range m.mu.names {
		sum += int64(len(n.data))
	}
	return sum
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.locks[name] {
		return nil, ErrLocked
	}
	m.mu.locks[name] = true
	return unlock{m, name}, nil
}

type unlock struct {
	m    *Mem
	name string
}

func (u unlock) Close() error {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	delete(u.m.mu.locks, u.name)
	return nil
}

// Used is the sum of all files' bytes.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usedLocked()
}

// Names lists all visible files below dir.
func (m *Mem) Names(dir string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, n := range sortedNames(m.mu.names) {
		if strings.HasPrefix(n, filepath.Clean(dir)+"/") {
			names = append(names, n)
		}
	}
	return names
}

// Flip inverts one bit of a file, as decay would: durable and visible bytes alike.
func (m *Mem) Flip(name string, offset int64, bit uint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.mu.names[filepath.Clean(name)]
	if !ok || offset >= int64(len(n.data)) {
		return &fs.PathError{Op: "flip", Path: name, Err: fs.ErrNotExist}
	}
	n.data[offset] ^= 1 << bit
	if offset < int64(len(n.synced)) {
		n.synced[offset] ^= 1 << bit
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.growLocked(off + int64(len(p))); err != nil {
		return 0, err
	}
	copy(f.n.data[off:], p)
	for s := int(off) / sector; s*sector < int(off)+len(p); s++ {
		f.n.dirty[s] = true
	}
	return len(p), nil
}

func (f *memFile) growLocked(size int64) error {
	more := size - int64(len(f.n.data))
	if more <= 0 {
		return nil
	}
	if f.m.Capacity > 0 && f.m.usedLocked()+more > f.m.Capacity {
		return ErrNoSpace
	}
	for s := len(f.n.data) / sector; int64(s*sector) < size; s++ {
		f.n.dirty[s] = true // zeros now, whatever stood there before the file was cut
	}
	f.n.data = append(f.n.data, make([]byte, more)...)
	return nil
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.sync()
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if size <= int64(len(f.n.data)) {
		f.n.data = f.n.data[:size:size]
		return nil
	}
	return f.growLocked(size)
}

func (f *memFile) Allocate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.growLocked(size)
}

// Zero is Allocate: new space is zeros here.
func (f *memFile) Zero(_, to int64) error { return f.Allocate(to) }
