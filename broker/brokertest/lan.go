package brokertest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Lan is a bridge with a network namespace for each node; the tests' clients are on the host, which is hostID.
type Lan struct {
	t      testing.TB
	prefix string // of the names of its links
	net    string // 10.77.N
}

const hostID = 254

// newLan gives nil where namespaces cannot be made: the nodes are on loopback then, and rows that cut the network are skipped.
func newLan(t testing.TB) *Lan {
	for _, tool := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			t.Logf("no network namespaces: they need root, ip, nft and tc: all nodes are on loopback")
			return nil
		}
	}
	k := (os.Getpid() + int(lans.Add(1))*13) % 250
	l := &Lan{t: t, prefix: fmt.Sprintf("cq%d", k), net: fmt.Sprintf("10.77.%d", k)}
	if out, err := exec.Command("ip", "link", "add", l.prefix+"br", "type", "bridge").CombinedOutput(); err != nil {
		t.Logf("no network namespaces: %v %s: all nodes are on loopback", err, out)
		return nil
	}
	t.Cleanup(l.remove)
	run(t, "ip", "addr", "add", l.Addr(hostID)+"/24", "dev", l.prefix+"br")
	run(t, "ip", "link", "set", l.prefix+"br", "up")
	for id := 1; id <= 3; id++ {
		l.addNode(id)
	}
	return l
}

func (l *Lan) addNode(id int) {
	ns, link := l.Namespace(id), l.link(id)
	run(l.t, "ip", "netns", "add", ns)
	run(l.t, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", ns)
	run(l.t, "ip", "link", "set", link, "master", l.prefix+"br", "up")
	l.in(id, "ip", "addr", "add", l.Addr(id)+"/24", "dev", "eth0")
	l.in(id, "ip", "link", "set", "eth0", "up")
	l.in(id, "ip", "link", "set", "lo", "up")
	l.in(id, "nft", "add table ip chaos")
	l.in(id, "nft", "add chain ip chaos input { type filter hook input priority 0; }")
}

func (l *Lan) remove() {
	for id := 1; id <= 3; id++ {
		_ = exec.Command("ip", "netns", "del", l.Namespace(id)).Run()
		_ = exec.Command("ip", "link", "del", l.link(id)).Run()
	}
	_ = exec.Command("ip", "link", "del", l.prefix+"br").Run()
}

// Addr is a node's address.
func (l *Lan) Addr(id int) string { return fmt.Sprintf("%s.%d", l.net, id) }

// Namespace of a node.
func (l *Lan) Namespace(id int) string { return fmt.Sprintf("%sn%d", l.prefix, id) }

func (l *Lan) link(id int) string { return fmt.Sprintf("%sv%d", l.prefix, id) }

// in runs a program in a node's namespace.
func (l *Lan) in(id int, args ...string) {
	run(l.t, "ip", append([]string{"netns", "exec", l.Namespace(id)}, args...)...)
}

// CutOneWay drops what from says to to.
func (l *Lan) CutOneWay(from, to int) {
	l.in(to, "nft", "add rule ip chaos input ip saddr "+l.Addr(from)+" drop")
}

// Cut drops everything between two nodes.
func (l *Lan) Cut(a, b int) {
	l.CutOneWay(a, b)
	l.CutOneWay(b, a)
}

// Lose drops that many percent of the packets between all nodes; clients lose none.
func (l *Lan) Lose(percent int) {
	for id := 1; id <= 3; id++ {
		for _, from := range others(id) {
			l.in(id, "nft", fmt.Sprintf("add rule ip chaos input ip saddr %s numgen random mod 100 < %d drop", l.Addr(from), percent))
		}
	}
}

// Slow limits what is sent to a node.
func (l *Lan) Slow(id int, rate string) {
	run(l.t, "tc", "qdisc", "replace", "dev", l.link(id), "root", "tbf", "rate", rate, "burst", "16kb", "latency", "300ms")
}

// Heal takes all faults away.
func (l *Lan) Heal() {
	for id := 1; id <= 3; id++ {
		l.in(id, "nft", "flush chain ip chaos input")
		out, err := exec.Command("tc", "qdisc", "del", "dev", l.link(id), "root").CombinedOutput()
		if err != nil && !strings.Contains(string(out), "handle of zero") && !strings.Contains(string(out), "No such file") && !strings.Contains(string(out), "Invalid argument") {
			l.t.Logf("tc: %v %s", err, out)
		}
	}
}

func others(id int) []int { return [][]int{{2, 3}, {1, 3}, {1, 2}}[id-1] }
