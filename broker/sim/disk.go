package sim

import (
	"errors"
	"strings"

	"github.com/contrailmq/contrail/broker/vfs"
)

var errDisk = errors.New("input/output error")

// diskFaults are what goes wrong with a member's disk next.
type diskFaults struct {
	failSync  bool // the next sync fails
	failWrite bool // the next write fails, in the middle
	failRead  bool // the next read fails
	watched   bool // who reads is the world, not the member: nothing fails
	// countdown: that many operations from now the machine stops, in the middle of whatever it does. 0: it goes on.
	countdown int
	power     bool // it loses its power then
	cutting   bool // the countdown begins when a segment is cut
	taking    bool // or when files of a snapshot are put in place
	dead      bool // it stopped; nothing reaches the disk until it is started again
}

// restart ends what was to happen to the process that runs.
func (d *diskFaults) restart() {
	d.countdown, d.dead, d.power, d.cutting, d.taking = 0, false, false, false, false
}

// heal ends all of them.
func (d *diskFaults) heal() { *d = diskFaults{dead: d.dead, power: d.power} }

// fs is the member's disk with its faults.
func (m *member) fs() vfs.FS {
	var disk vfs.FS = m.disk
	if c := m.w.conf; c.ForgetSync != "" || c.ForgetDir {
		disk = forgetful{disk, c.ForgetSync, c.ForgetDir}
	}
	return &vfs.Fault{FS: disk, Hook: m.asked}
}

// asked is called before each operation.
func (m *member) asked(op vfs.Op, name string) error {
	d := &m.disks
	if d.watched {
		return nil
	}
	if m.w.conf.Disk {
		m.w.say("member %d: %s %s", m.id+1, op, name)
	}
	if op == vfs.OpTruncate && strings.HasSuffix(name, ".seg") {
		m.w.covered(Truncations)
	}
	m.arm(op, name)
	if d.dead || d.stops(op) {
		if !d.dead {
			m.w.covered(CrashesInside)
			m.w.say("member %d stops at %s %s", m.id+1, op, name)
		}
		d.dead = true
		return errDisk
	}
	if d.fails(op) {
		m.w.covered(DiskErrors)
		m.w.say("member %d: %s of %s fails", m.id+1, op, name)
		return errDisk
	}
	return nil
}

// arm begins a countdown that waited for its moment.
func (m *member) arm(op vfs.Op, name string) {
	d := &m.disks
	cut := d.cutting && op == vfs.OpTruncate && strings.HasSuffix(name, ".seg")
	take := d.taking && op == vfs.OpRename && strings.Contains(name, "/incoming/") && strings.HasSuffix(name, ".seg")
	if cut {
		d.cutting, d.countdown = false, int(m.w.between(2, 5))
	}
	if take {
		d.taking, d.countdown = false, int(m.w.between(1, 8))
	}
}

// stops counts operations that change something.
func (d *diskFaults) stops(op vfs.Op) bool {
	if d.countdown == 0 || op == vfs.OpRead || op == vfs.OpOpen {
		return false
	}
	d.countdown--
	return d.countdown == 0
}

func (d *diskFaults) fails(op vfs.Op) bool {
	var fault *bool
	switch op {
	case vfs.OpSync:
		fault = &d.failSync
	case vfs.OpWrite:
		fault = &d.failWrite
	case vfs.OpRead:
		fault = &d.failRead
	default:
		return false
	}
	fails := *fault
	*fault = false
	return fails
}

// forgetful is a disk that syncs no file whose name contains something, or no folder.
type forgetful struct {
	vfs.FS
	name string
	dirs bool
}

type unsynced struct{ vfs.File }

func (unsynced) Sync() error { return nil }

func (f forgetful) Create(name string) (vfs.File, error) {
	file, err := f.FS.Create(name)
	if err == nil && f.name != "" && strings.Contains(name, f.name) {
		return unsynced{file}, nil
	}
	return file, err
}

func (f forgetful) SyncDir(dir string) error {
	if f.dirs {
		return nil
	}
	return f.FS.SyncDir(dir)
}
