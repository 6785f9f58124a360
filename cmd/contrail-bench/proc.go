package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and the machine had used at one moment.
type usage struct {
	at    time.Time
	cpu   time.Duration // of the process, user and system
	own   time.Duration // of this program
	steal uint64        // ticks, all cores
	all   uint64        // ticks, all cores
	busy  uint64        // ticks, all cores, whoever used them
	rss   int64         // bytes
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux

func read(pid int, others ...int) (usage, error) {
	u := usage{at: time.Now()}
	var err error
	for _, p := range append(others, pid) {
		cpu, err := cpuOf(p)
		if err != nil {
			return u, err
		}
		u.cpu += cpu
	}
	if u.own, err = cpuOf(os.Getpid()); err != nil {
		return u, err
	}
	u.steal, u.all, u.busy = machine()
	u.rss = rssOf(pid)
	return u, nil
}

// cpuOf reads /proc/PID/stat: fields 14 and 15 are user and system ticks.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, nil
}

func machine() (steal, all, busy uint64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseUint(f, 10, 64)
		if i == 7 {
			steal = n
		}
		if i < 8 {
			all += n
		}
		if i < 7 && i != 3 && i != 4 { // neither idle nor waiting for a disk
			busy += n
		}
	}
	return steal, all, busy
}

// foreign is how many cores others than this program and the servers used, the kernel's own threads included.
func foreign(a, b usage, servers time.Duration) float64 {
	rest := time.Duration(b.busy-a.busy)*tick - (b.own - a.own) - servers
	return max(0, rest.Seconds()/b.at.Sub(a.at).Seconds())
}

// writtenBy is how many bytes a process has given to disks.
func writtenBy(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			written, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			return written
		}
	}
	return 0
}

func rssOf(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// resetPeak is not possible for another process without rights that a bench should not need, so memory is what a window
// ended with.
func stealPercent(a, b usage) float64 {
	if b.all == a.all {
		return 0
	}
	return 100 * float64(b.steal-a.steal) / float64(b.all-a.all)
}
