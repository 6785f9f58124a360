package vfs

// Op names what a Fault is asked about.
type Op string

// Operations that can be made to fail.
const (
	OpCreate   Op = "create"
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpAllocate Op = "allocate"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpSyncDir  Op = "syncdir"
	OpTruncate Op = "truncate"
)

// Fault wraps a file system; Hook is asked before each operation and fails it by returning an error.
// Hook may be called from several goroutines at once.
type Fault struct {
	FS
	Hook func(op Op, name string) error
}

type faultFile struct {
	File
	fault *Fault
	name  string
}

func (f *Fault) ask(op Op, name string) error {
	if f.Hook == nil {
		return nil
	}
	return f.Hook(op, name)
}

func (f *Fault) wrap(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

// Create implements FS.
func (f *Fault) Create(name string) (File, error) { return f.wrap(OpCreate, name, f.FS.Create) }

// Open implements FS.
func (f *Fault) Open(name string) (File, error) { return f.wrap(OpOpen, name, f.FS.Open) }

// OpenRead implements FS.
func (f *Fault) OpenRead(name string) (File, error) { return f.wrap(OpOpen, name, f.FS.OpenRead) }

// Rename implements FS.
func (f *Fault) Rename(from, to string) error {
	if err := f.ask(OpRename, from); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// Remove implements FS.
func (f *Fault) Remove(name string) error {
	if err := f.ask(OpRemove, name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// SyncDir implements FS.
func (f *Fault) SyncDir(dir string) error {
	if err := f.ask(OpSyncDir, dir); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fault.ask(OpRead, f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fault.ask(OpWrite, f.name); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], off) // a short write, as a failing disk leaves it
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fault.ask(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Sync() error {
	if err := f.fault.ask(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Allocate(size int64) error {
	if err := f.fault.ask(OpAllocate, f.name); err != nil {
		return err
	}
	return f.File.Allocate(size)
}

func (f *faultFile) Zero(from, to int64) error {
	if err := f.fault.ask(OpWrite, f.name); err != nil {
		return err
	}
	return f.File.Zero(from, to)
}
