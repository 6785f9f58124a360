package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

const clusterGroup = "broker-a"

const founders = 3

// layout is what a cluster's configurations say.
type layout struct {
	groups   []string
	spare    int    // nodes that every node knows and that do not run yet
	settings string // lines of each node's configuration besides replication
}

// oneGroup has a leader only on node 1, so that only one leader's work is measured.
var oneGroup = layout{groups: []string{clusterGroup}, settings: loadedSettings(8 << 30)}

func loadedSettings(keepBytes int64) string {
	return fmt.Sprintf("roles: [namesrv, broker]\nlog: {keepFor: 24h, keepBytes: %d}\ntrail: {engine: \"off\"}\n", keepBytes)
}

// clusterNode is one of the processes of a cluster; target.addr is where its member of the first broker group listens.
type clusterNode struct {
	*target
	listen     string
	nameServer string
	console    string
	brokers    []string
	conf       string
	dir        string
}

// cluster is several nodes on this machine.
type cluster struct {
	layout
	binary, dir string
	nodes       []*clusterNode
}

func startCluster(binary, dir string, l layout) (*cluster, error) {
	c := &cluster{layout: l, binary: binary, dir: dir}
	if err := c.configure(); err != nil {
		return nil, err
	}
	for i := range founders {
		if err := c.start(i); err != nil {
			c.stop()
			return nil, err
		}
	}
	if _, err := c.leader(30 * time.Second); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// configure writes all configurations.
func (c *cluster) configure() error {
	for i := range founders + c.spare {
		n, err := c.newNode(i + 1)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for i, n := range c.nodes {
		if err := os.WriteFile(n.conf, []byte(c.text(i)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) newNode(id int) (*clusterNode, error) {
	name := fmt.Sprintf("node%d", id)
	n := &clusterNode{
		target: &target{name: name, stop: func() {}}, dir: filepath.Join(c.dir, name), conf: filepath.Join(c.dir, name+".yaml"),
		brokers: make([]string, len(c.groups)),
	}
	addrs := []*string{&n.listen, &n.nameServer, &n.console}
	for i := range n.brokers {
		addrs = append(addrs, &n.brokers[i])
	}
	for _, a := range addrs {
		var err error
		if *a, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	n.addr = n.brokers[0]
	return n, nil
}

func (c *cluster) text(i int) string {
	var b strings.Builder
	n := c.nodes[i]
	fmt.Fprintf(&b, "node: node-%d\ndir: %s\nconsole: {listen: %q}\n%s", i+1, n.dir, n.console, c.settings)
	if p := os.Getenv("BENCH_DEBUG"); p != "" {
		fmt.Fprintf(&b, "debug: {listen: \"127.0.0.1:%s%d\"}\n", p, i+1)
	}
	fmt.Fprintf(&b, "replication:\n  id: %d\n  founders: [1, 2, 3]\n  nodes:\n", i+1)
	for k, other := range c.nodes {
		fmt.Fprintf(&b, "    - {id: %d, listen: %q, nameServer: %q, brokers: {", k+1, other.listen, other.nameServer)
		for g, addr := range other.brokers {
			fmt.Fprintf(&b, "%s: %q, ", c.groups[g], addr)
		}
		b.WriteString("}}\n")
	}
	return b.String()
}

func (c *cluster) start(i int) error {
	n := c.nodes[i]
	t, err := spawn(n.name, c.dir, n.addr, c.binary, "serve", "--config", n.conf)
	if err != nil {
		return err
	}
	n.target = t
	return nil
}

func (c *cluster) stop() {
	for _, n := range c.nodes {
		n.target.stop()
	}
}

var masterOf = regexp.MustCompile(`"?0"?:"([^"]+)"`)

// leader asks the name servers until one knows who leads the first broker group; it gives the node's number.
func (c *cluster) leader(patience time.Duration) (int, error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, n := range c.nodes {
			if i, ok := c.leaderBy(n.nameServer); ok {
				return i, nil
			}
		}
	}
	return 0, errors.New("nobody leads the broker group")
}

func (c *cluster) leaderBy(nameServer string) (int, bool) {
	client := rpc.Client{Addr: nameServer, Timeout: time.Second}
	defer client.Close()
	f, err := client.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: c.groups[0]}}, nil)
	if err != nil || f.Code != 0 {
		return 0, false
	}
	m := masterOf.FindSubmatch(f.Body)
	if m == nil {
		return 0, false
	}
	for i, n := range c.nodes {
		if n.addr == string(m[1]) {
			return i, true
		}
	}
	return 0, false
}

// settled waits until the first node leads, as it shall by default.
func (c *cluster) settled(patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if i, err := c.leader(patience); err == nil && i == 0 {
			return nil
		}
	}
	return errors.New("the broker group's leader did not move to node 1")
}

// clusterTarget is the cluster as one server: its leader is sent to, the CPU of all three is counted.
func clusterTarget(binary, dir string) (*target, error) {
	c, err := startCluster(binary, dir, oneGroup)
	if err != nil {
		return nil, err
	}
	if err := c.settled(60 * time.Second); err != nil {
		c.stop()
		return nil, err
	}
	t := &target{name: "contrail", addr: c.nodes[0].addr, pid: c.nodes[0].pid, stop: c.stop}
	for _, n := range c.nodes[1:] {
		t.others = append(t.others, n.pid)
	}
	return t, nil
}
