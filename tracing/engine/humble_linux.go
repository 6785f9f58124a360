package engine

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Values of a process that must not be felt by its parent: behind it for the processor and the disk, and before it when
// memory runs out.
const (
	niceness       = 10
	ioprioLowest   = 2<<13 | 7 // best effort, level 7
	ioprioWho      = 1         // a thread
	oomScoreAdjust = "500"
)

// humble lowers this process's claims. Priorities belong to threads, so each one is set; later ones inherit.
func humble() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); err != nil && err != unix.ESRCH {
			return fmt.Errorf("lower the priority: %w", err)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWho, uintptr(id), ioprioLowest) // not all schedulers know it
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(oomScoreAdjust), 0) // raising it needs no right, but /proc may be masked
	return nil
}

// grow makes the pipe larger than its 64 KiB, where the system allows.
func grow(f *os.File) {
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeBytes) })
	}
}

// childAttributes: an own process group, so that a terminal's interrupt does not reach the child before the parent has
// shipped its last rows; and the kernel kills the child when the parent's thread ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
