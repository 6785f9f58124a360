package main

import (
	"fmt"
	"path/filepath"

	"github.com/contrailmq/contrail/broker/vfs"
)

// floorLog keeps what was appended, in files that are made ahead, as a broker's log does: fresh space costs what it costs.
type floorLog struct {
	dir      string
	file     vfs.File
	at       int64
	prepared chan vfs.File
	failed   error
}

const (
	floorFile = 128 << 20
	floorKeep = 64 // files
	diskPage  = 4096
)

func newFloorLog(dir string) (*floorLog, error) {
	l := &floorLog{dir: dir, prepared: make(chan vfs.File, 1)}
	if err := (vfs.OS{}).MkdirAll(dir); err != nil {
		return nil, err
	}
	go l.prepare()
	return l, l.roll()
}

func (l *floorLog) prepare() {
	defer close(l.prepared)
	for n := 0; ; n++ {
		f, err := vfs.OS{}.Create(l.name(n))
		if err == nil {
			err = f.Allocate(floorFile)
		}
		if err == nil {
			err = f.Zero(0, floorFile)
		}
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			l.failed = err
			return
		}
		l.prepared <- f
		if n >= floorKeep {
			_ = vfs.OS{}.Remove(l.name(n - floorKeep))
		}
	}
}

func (l *floorLog) name(n int) string { return filepath.Join(l.dir, fmt.Sprintf("%06d.floor", n)) }

func (l *floorLog) roll() error {
	f, ok := <-l.prepared
	if !ok {
		return l.failed
	}
	if l.file != nil {
		if err := l.file.Sync(); err != nil {
			return err
		}
		l.file.Close()
	}
	l.file, l.at = f, 0
	return nil
}

func (l *floorLog) append(b []byte, sync bool) error {
	if l.at+int64(len(b))+diskPage > floorFile {
		if err := l.roll(); err != nil {
			return err
		}
	}
	n := len(b)
	b = append(b, make([]byte, -(l.at+int64(n))&(diskPage-1))...)
	if _, err := l.file.WriteAt(b, l.at); err != nil {
		return err
	}
	l.at += int64(n)
	if sync {
		return l.file.Sync()
	}
	return nil
}
