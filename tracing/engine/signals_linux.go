package engine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded are the signals whose handlers belong to Go in this process: those it turns into panics, those it dumps stacks
// for, and those it ends on. SIGUSR1/2 and the real-time ones stay ClickHouse's (its profiler's timers).
var guarded = []unix.Signal{
	unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGABRT, unix.SIGTRAP, unix.SIGSYS,
	unix.SIGQUIT, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE, unix.SIGURG, unix.SIGPROF, unix.SIGCHLD,
}

// sigaction is the kernel's struct, kept bit for bit: what Go set is what is put back, its restorer too.
type sigaction struct {
	handler, flags, restorer, mask uint64
}

type savedSignals []sigaction

func saveSignals() (savedSignals, error) {
	saved := make(savedSignals, len(guarded))
	for i, sig := range guarded {
		if err := rtSigaction(sig, nil, &saved[i]); err != nil {
			return nil, err
		}
	}
	return saved, nil
}

func (s savedSignals) restore() error {
	for i, sig := range guarded {
		if err := rtSigaction(sig, &s[i], nil); err != nil {
			return err
		}
	}
	return nil
}

func rtSigaction(sig unix.Signal, set, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		return fmt.Errorf("signal handler of %v: %w", sig, errno)
	}
	return nil
}
