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

// clusterNode is one of the three processes of a cluster under load.
type clusterNode struct {
	*target
	nameServer string
	conf       string
}

// cluster is three nodes on this machine with one broker group, so that only one leader's work is measured.
type cluster struct {
	binary, dir string
	nodes       [3]*clusterNode
}

func startCluster(binary, dir string) (*cluster, error) {
	c := &cluster{binary: binary, dir: dir}
	if err := c.configure(); err != nil {
		return nil, err
	}
	for i := range c.nodes {
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

// configure writes the three configurations.
func (c *cluster) configure() error {
	var nodes strings.Builder
	for i := range c.nodes {
		n := &clusterNode{target: &target{stop: func() {}}, conf: filepath.Join(c.dir, fmt.Sprintf("node%d.yaml", i+1))}
		listen, err := freeAddr()
		if err == nil {
			n.nameServer, err = freeAddr()
		}
		if err == nil {
			n.addr, err = freeAddr()
		}
		if err != nil {
			return err
		}
		c.nodes[i] = n
		fmt.Fprintf(&nodes, "    - {id: %d, listen: %q, nameServer: %q, brokers: {%s: %q}}\n", i+1, listen, n.nameServer, clusterGroup, n.addr)
	}
	for i, n := range c.nodes {
		text := fmt.Sprintf("node: node-%d\ndir: %s\nroles: [namesrv, broker]\nlog: {keepFor: 24h, keepBytes: 8589934592}\ntrail: {engine: \"off\"}\nreplication:\n  id: %d\n  leaders: {%s: 1}\n  nodes:\n%s",
			i+1, filepath.Join(c.dir, fmt.Sprintf("node%d", i+1)), i+1, clusterGroup, nodes.String())
		if p := os.Getenv("BENCH_DEBUG"); p != "" {
			text += fmt.Sprintf("debug: {listen: \"127.0.0.1:%s%d\"}\n", p, i+1)
		}
		if err := os.WriteFile(n.conf, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) start(i int) error {
	n := c.nodes[i]
	t, err := spawn(fmt.Sprintf("node%d", i+1), c.dir, n.addr, c.binary, "serve", "--config", n.conf)
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

// leader asks the name servers until one knows who leads; it gives the node's number.
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
	f, err := client.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: clusterGroup}}, nil)
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

// settled waits until the first node leads, which it shall by configuration.
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
	c, err := startCluster(binary, dir)
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
