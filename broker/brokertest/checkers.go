package brokertest

import (
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Found is what a drain of all queues through one member gave.
type Found map[Place]string

// DrainAll reads every queue of every group through one node.
func DrainAll(n *Node, topic string) (Found, error) {
	out := Found{}
	for _, g := range Groups {
		for q := range int64(Queues) {
			_, err := Drain(n.Brokers[g], topic, q, func(v message.View) error {
				id := string(message.Property(v.Properties(), message.PropUniqKey))
				if body := v.Body(); string(body) != string(bodyOf(id, len(body))) {
					return fmt.Errorf("%s queue %d offset %d: message %s has another one's bytes", g, q, v.QueueOffset(), id)
				}
				out[Place{g, q, v.QueueOffset()}] = id
				return nil
			})
			if err != nil {
				return out, fmt.Errorf("%s through node %d: %w", g, n.ID, err)
			}
		}
	}
	return out, nil
}

// Verdict of the history against what is stored.
type Verdict struct {
	Sent, Acked, Unknown   int
	Lost                   int
	Expired                int // acked, and gone with retention
	Explained, Unexplained int // copies beyond the first
	Problems               []string
}

func (v *Verdict) problem(format string, args ...any) {
	if len(v.Problems) < 20 {
		v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
	}
}

// Judge compares: acked messages are where the answer said, nothing was invented, copies only after a try of unknown outcome, and
// what a worker sent to a queue one after the other is there in that order. Offsets are dense, or the drain had failed.
func Judge(hist []Sent, found Found) *Verdict {
	v := &Verdict{}
	copies, sent, first := map[string]int{}, map[string]bool{}, firsts(found)
	for _, id := range found {
		copies[id]++
	}
	for i := range hist {
		sent[hist[i].ID] = true
		if at := hist[i].At; hist[i].Acked && at.Offset < first[Place{at.Group, at.Queue, 0}] {
			v.Sent, v.Acked, v.Expired = v.Sent+1, v.Acked+1, v.Expired+1
			continue
		}
		v.one(&hist[i], found, copies[hist[i].ID])
	}
	for place, id := range found {
		if !sent[id] {
			v.problem("%v holds %q, which nobody sent", place, id)
		}
	}
	v.order(hist)
	return v
}

func (v *Verdict) one(s *Sent, found Found, copies int) {
	v.Sent++
	allowed := s.Unknown
	if s.Acked {
		v.Acked++
		allowed++
		if found[s.At] != s.ID {
			v.Lost++
			v.problem("LOST %s acked at %v %s: there is %q", s.ID, s.At, s.Done.Format("15:04:05.000"), found[s.At])
		}
	} else if s.Unknown > 0 {
		v.Unknown++
	}
	if extra := copies - max(allowed, 1); extra > 0 {
		v.Unexplained += extra
		v.problem("%s is stored %d times: %d tries, %d of unknown outcome, acked %v (%s)", s.ID, copies, s.Tries, s.Unknown, s.Acked, s.Why)
	}
	if allowed == 0 && copies > 0 {
		v.problem("%s was refused, and is stored: %s", s.ID, s.Why)
	}
	v.Explained += max(0, min(copies, allowed)-1)
}

// order: an acked message is before the one that the same worker sent to the same queue after that ack.
func (v *Verdict) order(hist []Sent) {
	type key struct {
		worker int
		group  string
		queue  int64
	}
	last := map[key]int64{}
	for _, s := range hist {
		if !s.Acked {
			continue
		}
		k := key{s.Worker, s.At.Group, s.At.Queue}
		if before, ok := last[k]; ok && s.At.Offset <= before {
			v.problem("ORDER %s of worker %d is at %v, the one before it at %d", s.ID, s.Worker, s.At, before)
		}
		last[k] = s.At.Offset
	}
}

// Same compares what two members gave, from the first offset on that both have: retention may take more between two drains.
func Same(a, b Found) error {
	for _, pair := range [][2]Found{{a, b}, {b, a}} {
		first := firsts(pair[1])
		for place, id := range pair[0] {
			if other := pair[1][place]; other != id && place.Offset >= first[Place{place.Group, place.Queue, 0}] {
				return fmt.Errorf("%v: one member has %q, another %q", place, id, other)
			}
		}
	}
	return nil
}

// firsts gives the first offset of each queue.
func firsts(found Found) map[Place]int64 {
	first := map[Place]int64{}
	for place := range found {
		q := Place{place.Group, place.Queue, 0}
		if begin, ok := first[q]; !ok || place.Offset < begin {
			first[q] = place.Offset
		}
	}
	return first
}

// SameLogs compares the entries that the three members of each group have on disk, in copies that are made while they run.
// Trailing entries may lack on some; the common part must be the same, byte for byte.
func (c *Cluster) SameLogs(away map[int]string) error {
	for _, g := range Groups {
		var sums []map[uint64]string
		for _, n := range c.Nodes {
			if away[n.ID] != "" {
				continue
			}
			s, err := n.entries(g)
			if err != nil {
				return fmt.Errorf("node %d %s: %w", n.ID, g, err)
			}
			sums = append(sums, s)
		}
		if err := sameEntries(g, sums); err != nil {
			return err
		}
	}
	return nil
}

func sameEntries(group string, sums []map[uint64]string) error {
	common := 0
	for index, a := range sums[0] {
		for i, other := range sums[1:] {
			b, ok := other[index]
			if ok && a != b {
				return fmt.Errorf("%s entry %d: %s on one node, %s on the other (%d)", group, index, a, b, i+2)
			}
			if ok {
				common++
			}
		}
	}
	if common == 0 && len(sums[0]) > 0 {
		return fmt.Errorf("%s: the members have no entry in common", group)
	}
	return nil
}

// entries reads a copy of a member's log: index → term and checksum of the bytes.
func (n *Node) entries(group string) (map[uint64]string, error) {
	dir, err := os.MkdirTemp("", "contrail-copy-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("sh", "-c", "cp --sparse=always "+filepath.Join(n.Dir, group, "log")+"/*.seg "+dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w %s", err, out)
	}
	l, err := seglog.Open(vfs.OS{}, dir, seglog.Options{SegmentBytes: 32 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Foreground: true})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return sumEntries(l)
}

// sumEntries gives each entry's term, length and checksum.
func sumEntries(l *seglog.Log) (map[uint64]string, error) {
	out := map[uint64]string{}
	for next := l.FirstIndex(); ; {
		after, err := l.Read(next, 8<<20, func(r seglog.Record) error {
			out[r.Index] = fmt.Sprintf("term %d, %d bytes %08x", r.Term, len(r.Data), crc32.ChecksumIEEE(r.Data))
			return nil
		})
		if err != nil || after == next {
			return out, err
		}
		next = after
	}
}

// Health is what a process uses.
type Health struct{ RSSMiB, Files, Threads int }

// Health of a node's process.
func (n *Node) Health() (h Health) {
	pid := n.Pid()
	if pid == 0 {
		return h
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(status), "\n") {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscanf(kb, "%d", &h.RSSMiB)
			h.RSSMiB /= 1024
		}
		if s, ok := strings.CutPrefix(line, "Threads:"); ok {
			_, _ = fmt.Sscanf(s, "%d", &h.Threads)
		}
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	h.Files = len(fds)
	return h
}

func (h Health) String() string { return fmt.Sprintf("%d MiB %d fd", h.RSSMiB, h.Files) }

// Complaints are log lines that no fault excuses; allowed are words that this fault does.
func (n *Node) Complaints(since int, allowed ...string) (out []string) {
	text := n.Log()
	for _, line := range strings.Split(text[min(since, len(text)):], "\n") {
		bad := slices.ContainsFunc([]string{"panic:", "fatal error:", "log-failed", "DATA RACE", "level=ERROR"}, func(w string) bool { return strings.Contains(line, w) })
		if bad && !slices.ContainsFunc(allowed, func(w string) bool { return strings.Contains(line, w) }) && len(out) < 3 {
			out = append(out, fmt.Sprintf("node %d: %s", n.ID, line[:min(len(line), 400)]))
		}
	}
	return out
}

// Recovered waits until every group takes messages again and gives how long that took.
func (p *Producers) Recovered(since time.Time, patience time.Duration) (time.Duration, bool) {
	for time.Since(since) < patience {
		all := true
		for _, g := range Groups {
			all = all && p.AckedSince(g, since) > 0
		}
		if all {
			return time.Since(since), true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(since), false
}
