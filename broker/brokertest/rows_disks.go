package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const simulated = "covered by the simulator's disk (broker/sim)"

// diskRows make disks full or slow.
func diskRows() []*Row {
	w := "W1 W2 W7"
	return []*Row{
		{Number: 18, Fault: "the leader's disk takes 20 writes a second", Workload: w, Run: slowDisk},
		{Number: 19, Fault: "fdatasync fails once", Workload: w, Skip: simulated},
		{Number: 20, Fault: "a write fails or is short", Workload: w, Skip: simulated},
		{Number: 22, Fault: "a leader's disk is full, and freed later", Workload: w, Short: true, Body: 96 << 10, Pause: 30 * time.Millisecond,
			Options: ClusterOptions{DiskMiB: map[int]int{1: 1800}}, Run: func(r *Round) { fullDisks(r, 1) }},
		{Number: 23, Fault: "all disks are full, and freed later", Workload: w, Body: 96 << 10, Pause: 30 * time.Millisecond,
			Options: ClusterOptions{DiskMiB: map[int]int{1: 1800, 2: 1800, 3: 1800}}, Run: func(r *Round) { fullDisks(r, 1, 2, 3) }},
		{Number: 31, Fault: "kill at each fail point of roll, retention, checkpoint, copy", Workload: w, Skip: simulated},
	}
}

// cgroup puts a node's process into a group of a controller with settings, until the test ends.
func (r *Round) cgroup(n *Node, controller string, settings map[string]string) bool {
	dir := filepath.Join("/sys/fs/cgroup", controller, fmt.Sprintf("chaos-%d-%d", os.Getpid(), n.ID))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.Note("no cgroup: %v", err)
		return false
	}
	r.T.Cleanup(func() { _ = os.Remove(dir) })
	for name, value := range settings {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			r.Note("cgroup %s: %v", name, err)
			return false
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(fmt.Sprint(n.Pid())), 0o644); err != nil {
		r.Note("cgroup: %v", err)
		return false
	}
	return true
}

// freeCgroup puts the process back.
func (r *Round) freeCgroup(n *Node, controller string) {
	_ = os.WriteFile(filepath.Join("/sys/fs/cgroup", controller, "cgroup.procs"), []byte(fmt.Sprint(n.Pid())), 0o644)
}

func slowDisk(r *Round) {
	l := r.Leader(Groups[0])
	var st syscall.Stat_t
	if err := syscall.Stat(l.Dir, &st); err != nil {
		r.Fail("%v", err)
		return
	}
	dev := fmt.Sprintf("%d:%d 20", st.Dev>>8&0xfff, st.Dev&0xff)
	if !r.cgroup(l, "blkio", map[string]string{"blkio.throttle.write_iops_device": dev}) {
		r.Note("the disk could not be slowed")
		return
	}
	before := r.elections()
	for r.More(time.Second) {
	}
	r.Note("%d changes of leader; node %d: %v", r.elections()-before, l.ID, l.Health())
	r.freeCgroup(l, "blkio")
}

func ballast(n *Node) string { return filepath.Join(n.Dir, "ballast") }

// fullDisks fills the file systems of nodes with a file of no use.
func fullDisks(r *Round, ids ...int) {
	r.spread(20 * time.Second)
	before := r.elections()
	for _, id := range ids {
		fill(r.Nodes[id-1])
	}
	acked, at := r.P.AckedSince("", r.Began), time.Now()
	for r.More(time.Second) || time.Since(at) < 15*time.Second {
		time.Sleep(100 * time.Millisecond)
		for _, id := range ids {
			if n := r.Nodes[id-1]; !n.Running() {
				r.Fail("node %d ended when its disk was full", id)
				return
			}
			fill(r.Nodes[id-1])
		}
	}
	r.Note("while full %d acked, %d changes of leader; %v", r.P.AckedSince("", r.Began)-acked, r.elections()-before, r.reasons(at))
	if len(ids) == len(r.Nodes) {
		r.readable()
	}
	for _, id := range ids {
		_ = os.Remove(ballast(r.Nodes[id-1]))
	}
}

func fill(n *Node) {
	_ = exec.Command("sh", "-c", "cat /dev/zero >> "+ballast(n)).Run() // ends when there is no space
}

// reasons of messages that were not acked since at.
func (r *Round) reasons(at time.Time) map[string]int {
	why := map[string]int{}
	for _, s := range r.P.History() {
		if s.Invoked.After(at) && !s.Acked {
			why[strings.TrimSpace(s.Why[:min(len(s.Why), 90)])]++
		}
	}
	for w := range why {
		if len(why) > 4 {
			delete(why, w)
		}
	}
	return why
}

// readable: what is stored can be read while nothing can be stored.
func (r *Round) readable() {
	if _, err := DrainAll(r.Nodes[0], r.Topic); err != nil {
		r.Fail("reads while the disks are full: %v", err)
	}
}
