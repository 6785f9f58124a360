package brokertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Groups are the broker groups of a Cluster.
var Groups = []string{"broker-a", "broker-b", "broker-c"}

// ClusterOptions of a Cluster.
type ClusterOptions struct {
	Extra   string      // YAML lines; indented ones are under log:
	DiskMiB map[int]int // node → size of a file system of its own for the data folder
	Proxied bool        // what nodes say to each other's node port passes through proxies of ours
}

// Cluster is three processes; each in a network namespace of its own where that is possible.
type Cluster struct {
	Dir     string
	Nodes   []*Node
	Lan     *Lan                    // nil: all on loopback
	Proxies map[[2]int]*FaultyProxy // from, to

	t    testing.TB
	opts ClusterOptions
}

// Node is one process of a Cluster.
type Node struct {
	ID                          int
	Listen, NameServer, Console string
	GRPC                        string
	Brokers                     map[string]string
	Dir                         string // data folder

	c    *Cluster
	host string
	conf string
	log  *os.File
	mu   sync.Mutex
	cmd  *exec.Cmd
	dead chan struct{} // closed when cmd ended
}

// StartCluster runs three nodes until the test ends.
func StartCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Dir: t.TempDir(), opts: o, Proxies: map[[2]int]*FaultyProxy{}}
	Binary(t) // before the clock of anything runs
	c.Lan = newLan(t)
	for id := 1; id <= 3; id++ {
		c.Nodes = append(c.Nodes, c.newNode(id))
	}
	if o.Proxied {
		c.startProxies()
	}
	for _, n := range c.Nodes {
		n.prepare()
	}
	t.Cleanup(c.end)
	for _, n := range c.Nodes {
		n.Start()
	}
	c.Settle(60 * time.Second)
	return c
}

func (c *Cluster) newNode(id int) *Node {
	n := &Node{ID: id, c: c, Brokers: map[string]string{}, Dir: filepath.Join(c.Dir, fmt.Sprintf("node%d", id))}
	n.host = "127.0.0.1"
	if c.Lan != nil {
		n.host = c.Lan.Addr(id)
	}
	n.Listen, n.NameServer, n.Console = c.addr(n, 7001), c.addr(n, 9876), c.addr(n, 8080)
	n.GRPC = c.addr(n, 8081)
	for i, g := range Groups {
		n.Brokers[g] = c.addr(n, 10911+10*i)
	}
	return n
}

// addr is a node's address: with a host of its own any port is free.
func (c *Cluster) addr(n *Node, port int) string {
	if c.Lan == nil {
		return freeAddr(c.t)
	}
	return net.JoinHostPort(n.host, strconv.Itoa(port))
}

func (c *Cluster) startProxies() {
	host := "127.0.0.1"
	if c.Lan != nil {
		host = c.Lan.Addr(hostID)
	}
	for _, from := range c.Nodes {
		for _, to := range c.Nodes {
			if from != to {
				c.Proxies[[2]int{from.ID, to.ID}] = NewFaultyProxy(c.t, host, to.Listen)
			}
		}
	}
}

// prepare makes a node's folder and configuration.
func (n *Node) prepare() {
	t := n.c.t
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if mib := n.c.opts.DiskMiB[n.ID]; mib > 0 {
		run(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", n.Dir)
		t.Cleanup(func() { _ = exec.Command("umount", "-l", n.Dir).Run() })
	}
	n.conf = filepath.Join(n.c.Dir, fmt.Sprintf("node%d.yaml", n.ID))
	if err := os.WriteFile(n.conf, []byte(n.config()), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.log, err = os.Create(filepath.Join(n.c.Dir, fmt.Sprintf("node%d.log", n.ID))); err != nil {
		t.Fatal(err)
	}
}

func (n *Node) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "node: node-%d\ndir: %s\nconsole: {listen: %q, allowChanges: true}\ntrail: {engine: \"off\"}\n", n.ID, n.Dir, n.Console)
	fmt.Fprintf(&b, "log:\n  segmentBytes: 33554432\n%s", n.c.opts.Extra)
	fmt.Fprintf(&b, "replication:\n  id: %d\n  key: a-key-that-only-tests-have-0123456789\n  nodes:\n", n.ID)
	for _, o := range n.c.Nodes {
		listen := o.Listen
		if p := n.c.Proxies[[2]int{n.ID, o.ID}]; p != nil {
			listen = p.Addr
		}
		fmt.Fprintf(&b, "    - {id: %d, listen: %q, nameServer: %q, grpc: %q, brokers: {", o.ID, listen, o.NameServer, o.GRPC)
		for i, g := range Groups {
			fmt.Fprintf(&b, "%s%s: %q", []string{"", ", ", ", "}[i], g, o.Brokers[g])
		}
		b.WriteString("}}\n")
	}
	return b.String()
}

// Start runs the node's process.
func (n *Node) Start() {
	n.c.t.Helper()
	args := []string{Binary(n.c.t), "serve", "--config", n.conf}
	if n.c.Lan != nil {
		args = append([]string{"ip", "netns", "exec", n.c.Lan.Namespace(n.ID)}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.c.t.Fatal(err)
	}
	dead := make(chan struct{})
	n.mu.Lock()
	n.cmd, n.dead = cmd, dead
	n.mu.Unlock()
	go func() { _ = cmd.Wait(); close(dead) }()
}

// Signal sends a signal to the node's process.
func (n *Node) Signal(sig syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(sig)
	}
}

// Kill is kill -9.
func (n *Node) Kill() {
	n.Signal(syscall.SIGKILL)
	n.ended(10 * time.Second)
}

// Stop is an orderly end; its exit code.
func (n *Node) Stop() int {
	n.Signal(syscall.SIGTERM)
	return n.ended(30 * time.Second)
}

// ended waits for the process and gives its exit code; -1 when it was killed, here at the latest.
func (n *Node) ended(patience time.Duration) int {
	n.mu.Lock()
	cmd, dead := n.cmd, n.dead
	n.cmd = nil
	n.mu.Unlock()
	if cmd == nil {
		return 0
	}
	select {
	case <-dead:
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-dead
	}
	return cmd.ProcessState.ExitCode()
}

// Running says whether the process is there.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.dead:
		return false
	default:
		return true
	}
}

// Pid of the process; 0: it does not run.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// Log is all that the node wrote.
func (n *Node) Log() string {
	b, _ := os.ReadFile(n.log.Name())
	return string(b)
}

func (c *Cluster) end() {
	for _, n := range c.Nodes {
		n.Signal(syscall.SIGCONT)
		n.Kill()
		if c.t.Failed() {
			text := n.Log()
			c.t.Logf("node %d wrote:\n%s", n.ID, text[max(0, len(text)-4000):])
		}
		if n.log != nil {
			n.log.Close()
		}
	}
}

// leads asks a node whether it answers as the leader of group.
func (n *Node) leads(group string) bool {
	c := rpc.Client{Addr: n.Brokers[group], Timeout: 2 * time.Second}
	defer c.Close()
	f, err := c.Do(wire.AllTopicConfig, []rpc.Field{{Name: "_ctrlRelayed", Value: group}, {Name: "_ctrlFrom", Value: "127.0.0.1:1"}}, nil)
	return err == nil && f.Code == 0
}

// Leader is the node that leads group; nil when none says so.
func (c *Cluster) Leader(group string) *Node {
	for _, n := range c.Nodes {
		if n.Running() && n.leads(group) {
			return n
		}
	}
	return nil
}

// Followers are the nodes that do not lead group.
func (c *Cluster) Followers(group string) (out []*Node) {
	l := c.Leader(group)
	for _, n := range c.Nodes {
		if n != l {
			out = append(out, n)
		}
	}
	return out
}

// Settle waits until every group is led; it says whether that came in time.
func (c *Cluster) Settle(patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		led := 0
		for _, g := range Groups {
			if c.Leader(g) != nil {
				led++
			}
		}
		if led == len(Groups) {
			return true
		}
	}
	return false
}

// Awake says whether a node's console answers.
func (n *Node) Awake() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Console+"/api/v1/node", nil)
	a, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	a.Body.Close()
	return a.StatusCode == http.StatusOK
}

// AwaitAwake waits until a started node answers.
func (n *Node) AwaitAwake(patience time.Duration) bool {
	for end := time.Now().Add(patience); time.Now().Before(end) && n.Running(); time.Sleep(50 * time.Millisecond) {
		if n.Awake() {
			return true
		}
	}
	return false
}

// NameServers of all nodes.
func (c *Cluster) NameServers() (out []string) {
	for _, n := range c.Nodes {
		out = append(out, n.NameServer)
	}
	return out
}

var lans atomic.Int32

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
