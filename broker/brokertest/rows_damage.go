package brokertest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// damageRows change a member's files.
func damageRows() []*Row {
	w := "W1 W2 W7"
	said := []string{"is damaged", "put aside"}
	row := func(n int, fault string, run func(*Round)) *Row {
		return &Row{Number: n, Fault: fault, Workload: w, Body: 8 << 10, Pause: 10 * time.Millisecond, Allowed: said, Run: run}
	}
	lag := row(32, "the copy of segments to a member that lags is reset again and again", lagging)
	lag.Options = ClusterOptions{Proxied: true, Extra: "  keepBytes: 67108864\n"}
	flipped := row(24, "a bit flips in a sealed segment of one member, while it is stopped and while it leads", flipSealed)
	flipped.Short = true
	torn := row(26, "the end of the last segment is cut off", tear)
	torn.Allowed = append(said, forgot)
	wiped := row(30, "a node loses its data folder and comes back under its id", wipe)
	wiped.Short, wiped.Body, wiped.Pause = true, 200, 2*time.Millisecond
	wiped.Allowed = append(said, "lost its data folder")
	old := row(29, "an old copy of a data folder is put back", oldCopy)
	old.Allowed = append(said, forgot)
	old.Body, old.Pause = 200, 2*time.Millisecond
	return []*Row{
		flipped, row(25, "a bit flips in the last segment of a stopped member", flipLast),
		torn, row(27, "zeros or stale bytes after the end of the last segment", staleTail),
		row(28, "files of one member are missing: index, checkpoint, sealed segment", missing), old, wiped, lag,
	}
}

func (n *Node) logDir(group string) string { return filepath.Join(n.Dir, group, "log") }

// segments of a member, oldest first.
func (n *Node) segments(group string) []string {
	names, _ := filepath.Glob(filepath.Join(n.logDir(group), "*.seg"))
	slices.Sort(names)
	return names
}

// dataEnd is where the zeros at the end of a file begin.
func dataEnd(name string) (int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	return int64(end), nil
}

// lastWritten is the newest segment with more than its header.
func (n *Node) lastWritten(group string) (string, int64) {
	segs := n.segments(group)
	for i := len(segs) - 1; i >= 0; i-- {
		if end, err := dataEnd(segs[i]); err == nil && end > 8192 {
			return segs[i], end
		}
	}
	return "", 0
}

func flip(name string, at int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1 << rand.IntN(8)
	_, err = f.WriteAt(b[:], at)
	return err
}

// awaitSealed waits until a member has some full segments.
func (r *Round) awaitSealed(n *Node, group string, count int) bool {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if last, _ := n.lastWritten(group); last != "" && slices.Index(n.segments(group), last) >= count {
			return true
		}
	}
	r.Fail("node %d has no sealed segments", n.ID)
	return false
}

// repaired waits until a member got everything anew and votes again.
func (r *Round) repaired(n *Node, group string) {
	began := time.Now()
	for time.Since(began) < 60*time.Second {
		_, promise := os.Stat(filepath.Join(n.logDir(group), "repair"))
		_, aside := os.Stat(filepath.Join(n.logDir(group), "damaged"))
		if aside == nil && errors.Is(promise, fs.ErrNotExist) {
			r.Note("node %d repaired and voting after %v", n.ID, time.Since(began).Round(time.Millisecond))
			_ = os.RemoveAll(filepath.Join(n.logDir(group), "damaged"))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.Fail("node %d: damage of %s was not found or not repaired within a minute", n.ID, group)
}

// offline does something to a stopped node's files.
func (r *Round) offline(n *Node, what func() error) {
	n.Kill()
	if err := what(); err != nil {
		r.Fail("%v", err)
	}
	r.again(n)
}

func flipSealed(r *Round) {
	n, g := r.Nodes[0], Groups[0] // node 1 leads the first group when it can: the damage is read by consumers
	if !r.spread(20*time.Second) || !r.awaitSealed(n, g, 2) {
		return
	}
	r.offline(n, func() error { return flip(n.segments(g)[0], 16<<20) })
	r.spread(30 * time.Second)
	r.readAnyway(g)
	r.repaired(n, g)
	r.spread(30 * time.Second)
	if !r.awaitSealed(n, g, 1) {
		return
	}
	if err := flip(n.segments(g)[0], 12<<20); err != nil {
		r.Fail("%v", err)
	}
	r.readAnyway(g)
	r.repaired(n, g)
}

// readAnyway reads a group's queues while one member is damaged: answers may fail, and are never wrong.
func (r *Round) readAnyway(string) {
	if _, err := drainPatiently(r.Nodes[0], r.Topic); err != nil {
		r.Fail("read with a damaged segment: %v", err)
	}
}

func flipLast(r *Round) {
	g := Groups[0]
	for i := 0; i < 2 || r.More(time.Second); i++ {
		n := r.Nodes[i%len(r.Nodes)]
		r.offline(n, func() error {
			name, end := n.lastWritten(g)
			return flip(name, end/2)
		})
		r.repaired(n, g)
		if len(r.Bad) > 0 {
			return
		}
	}
}

func tear(r *Round) {
	g := Groups[0]
	for i := 0; i < 3 || r.More(time.Second); i++ {
		n := r.Nodes[i%len(r.Nodes)]
		r.offline(n, func() error {
			name, end := n.lastWritten(g)
			cut := end - 1 - rand.Int64N(12000)
			size := int64(0)
			if st, err := os.Stat(name); err == nil {
				size = st.Size()
			}
			return errors.Join(os.Truncate(name, cut), os.Truncate(name, size))
		})
		time.Sleep(3 * time.Second)
		if strings.Contains(n.Log(), forgot) {
			r.Away[n.ID] = "its member stopped, because it lacks what it had acknowledged"
			return
		}
		r.stay(n, g)
	}
}

// forgot is what a member says that lacks entries which it had acknowledged.
const forgot = "tocommit"

// stay notes whether a member found damage.
func (r *Round) stay(n *Node, group string) {
	if _, err := os.Stat(filepath.Join(n.logDir(group), "damaged")); err == nil {
		r.Note("node %d took it for damage", n.ID)
		r.repaired(n, group)
	}
}

func staleTail(r *Round) {
	g := Groups[0]
	for i := 0; i < 3 || r.More(time.Second); i++ {
		n := r.Nodes[i%len(r.Nodes)]
		r.offline(n, func() error { return staleBytes(n, g) })
		time.Sleep(3 * time.Second)
		r.stay(n, g)
	}
}

// staleBytes copies older records behind the newest one, as a file that is used again would have them.
func staleBytes(n *Node, group string) error {
	name, end := n.lastWritten(group)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 64<<10)
	if _, err := f.ReadAt(b, 4096); err != nil {
		return err
	}
	_, err = f.WriteAt(b, (end+4095)&^4095)
	return err
}

func missing(r *Round) {
	g := Groups[0]
	if !r.awaitSealed(r.Nodes[0], g, 2) {
		return
	}
	for i, what := range []string{"segment", "sidecars", "checkpoint", "last", "node"} {
		n := r.Nodes[i%len(r.Nodes)]
		n.Kill()
		gone, err := remove(n, g, what)
		if err != nil {
			r.Fail("%v", err)
		}
		n.Start()
		if !n.AwaitAwake(30 * time.Second) {
			r.Note("without %s (%s): node %d does not start: %s", what, gone, n.ID, lastError(n))
			r.giveBack(n)
			continue
		}
		time.Sleep(4 * time.Second)
		r.Note("without %s (%s): node %d runs", what, gone, n.ID)
		r.stay(n, g)
		if what == "node" {
			r.giveBack(n)
		} else if what == "segment" {
			r.leadAndRead(n, g)
		}
	}
}

// leadAndRead waits until a member that lacks a file leads, and reads everything from it.
func (r *Round) leadAndRead(n *Node, group string) {
	r.spread(30 * time.Second)
	r.Note("node %d leads %s: %v", n.ID, group, n.leads(group))
	found, err := DrainAll(n, r.Topic)
	if err != nil {
		r.Fail("read from a leader that lacks a segment: %v", err)
	}
	lost := 0
	defer func() {
		if lost > 0 {
			r.giveBack(n)
		}
	}()
	for _, s := range r.P.History() {
		if s.Acked && s.Done.Before(r.Began) && found[s.At] != s.ID {
			lost++
		}
	}
	if lost > 0 {
		r.Fail("%d acked messages are not served by a leader that lacks a segment", lost)
	}
}

// remove moves files of a stopped member away.
func remove(n *Node, group, what string) (string, error) {
	dir := n.logDir(group)
	segs := n.segments(group)
	var names []string
	switch what {
	case "segment":
		names = segs[:1]
	case "last":
		last, _ := n.lastWritten(group)
		names = []string{last}
	case "node":
		names = []string{filepath.Join(n.Dir, "node")}
	case "checkpoint":
		names, _ = filepath.Glob(filepath.Join(dir, "*checkpoint*"))
	case "sidecars":
		all, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, a := range all {
			if st, err := os.Stat(a); err == nil && !st.IsDir() && !strings.HasSuffix(a, ".seg") && !strings.Contains(a, "checkpoint") && !strings.HasSuffix(a, "LOCK") {
				names = append(names, a)
			}
		}
	}
	away := filepath.Join(n.c.Dir, fmt.Sprintf("away%d", n.ID))
	if err := os.MkdirAll(away, 0o755); err != nil {
		return "", err
	}
	said := ""
	for _, name := range names {
		said += " " + filepath.Base(name)
		if out, err := exec.Command("mv", name, away).CombinedOutput(); err != nil {
			return said, fmt.Errorf("%w %s", err, out)
		}
		_ = os.WriteFile(filepath.Join(away, filepath.Base(name)+".from"), []byte(name), 0o644)
	}
	return strings.TrimSpace(said), nil
}

// giveBack puts the files that were moved away where they were: an operator's way out.
func (r *Round) giveBack(n *Node) {
	n.Kill()
	away := filepath.Join(n.c.Dir, fmt.Sprintf("away%d", n.ID))
	froms, _ := filepath.Glob(filepath.Join(away, "*.from"))
	for _, f := range froms {
		to, _ := os.ReadFile(f)
		_ = os.Rename(strings.TrimSuffix(f, ".from"), string(to))
	}
	r.again(n)
}

func lastError(n *Node) string {
	lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
	return lines[len(lines)-1]
}

func oldCopy(r *Round) {
	n := r.Nodes[2]
	copyDir := filepath.Join(r.Dir, "copy")
	n.Kill()
	run(r.T, "cp", "-a", "--sparse=always", n.Dir, copyDir)
	r.again(n)
	for r.More(time.Second) {
	}
	n.Kill()
	run(r.T, "rm", "-rf", n.Dir)
	run(r.T, "cp", "-a", "--sparse=always", copyDir, n.Dir)
	n.Start()
	if !n.AwaitAwake(20 * time.Second) {
		r.Note("the node with the old copy does not run: %s", lastError(n))
	}
	time.Sleep(8 * time.Second)
	if strings.Contains(n.Log(), forgot) {
		r.Away[n.ID] = "its members stopped, because they lack what they had acknowledged"
	}
}

func wipe(r *Round) {
	n := r.Nodes[2]
	n.Kill()
	run(r.T, "rm", "-rf", n.Dir)
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		r.Fail("%v", err)
	}
	n.Start()
	for r.More(time.Second) {
	}
	for _, o := range r.Nodes[:2] {
		if !strings.Contains(o.Log(), "lost its data folder") {
			r.Fail("node %d does not say that it refuses the node that lost its data", o.ID)
		}
	}
	for _, g := range Groups {
		if n.leads(g) {
			r.Fail("the wiped node leads %s", g)
		}
	}
	r.Away[n.ID] = "it lost its data folder, and the others refuse it"
}

func lagging(r *Round) {
	n, g := r.Nodes[2], Groups[0]
	n.Kill()
	first := r.Nodes[0].segments(g)[0]
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if segs := r.Nodes[0].segments(g); segs[0] > first && len(segs) > 2 {
			break
		}
	}
	r.Note("first segment %s → %s", filepath.Base(first), filepath.Base(r.Nodes[0].segments(g)[0]))
	for _, id := range []int{1, 2} {
		r.Proxies[[2]int{id, 3}].Break(6 << 20)
	}
	r.again(n)
	time.Sleep(15 * time.Second)
	r.Note("%d and %d resets", r.Proxies[[2]int{1, 3}].Resets.Load(), r.Proxies[[2]int{2, 3}].Resets.Load())
}
