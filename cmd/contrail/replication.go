package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// replication says which nodes form the cluster, the same on every one of them but for id. Each broker group has a member on
// every node.
type replication struct {
	ID      uint64            `yaml:"id"`      // this node
	Key     string            `yaml:"key"`     // cluster key, which nodes prove to each other; may be empty on loopback only
	KeyFile string            `yaml:"keyFile"` // or a file that holds it
	Nodes   []replicationNode `yaml:"nodes"`
	Leaders map[string]uint64 `yaml:"leaders"` // which node shall lead a broker group when it can; by default they are spread
	// Founders are the nodes with which the cluster began; the others join broker groups by a change of members. Absent: all.
	Founders []uint64 `yaml:"founders"`
}

type replicationNode struct {
	ID         uint64            `yaml:"id"`
	Name       string            `yaml:"name"`       // its `node`, for the trail; by default node-ID
	Listen     string            `yaml:"listen"`     // ip:port for the other nodes
	NameServer string            `yaml:"nameServer"` // ip:port
	GRPC       string            `yaml:"grpc"`       // host:port that gRPC clients dial; absent: this node has no such port
	Brokers    map[string]string `yaml:"brokers"`    // broker group: ip:port that clients dial
}

const nodesMax = 9

func (r *replication) on() bool { return len(r.Nodes) > 0 }

// node gives a node's entry, or nil.
func (r *replication) node(id uint64) *replicationNode {
	for i := range r.Nodes {
		if r.Nodes[i].ID == id {
			return &r.Nodes[i]
		}
	}
	return nil
}

// groups are the broker groups by name.
func (r *replication) groups() []string {
	var names []string
	for name := range r.Nodes[0].Brokers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// founders are the members of every broker group at its very first start.
func (r *replication) founders() []uint64 {
	if len(r.Founders) == 0 {
		return r.ids()
	}
	ids := slices.Clone(r.Founders)
	slices.Sort(ids)
	return ids
}

func (r *replication) ids() (ids []uint64) {
	for _, n := range r.Nodes {
		ids = append(ids, n.ID)
	}
	slices.Sort(ids)
	return ids
}

// preferred is the node that shall lead a group.
func (r *replication) preferred(group string) uint64 {
	if id, ok := r.Leaders[group]; ok {
		return id
	}
	ids := r.founders()
	return ids[max(0, slices.Index(r.groups(), group))%len(ids)]
}

// key reads the cluster key.
func (r *replication) key() ([]byte, error) {
	if r.KeyFile == "" {
		return []byte(r.Key), nil
	}
	b, err := os.ReadFile(r.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("replication.keyFile: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return nil, fmt.Errorf("replication.keyFile: %s is empty", r.KeyFile)
	}
	return []byte(key), nil
}

// check names the field, its value and what is possible.
func (r *replication) check() error {
	if !r.on() {
		return nil
	}
	if n := len(r.Nodes); n > nodesMax {
		return fmt.Errorf("replication.nodes: %d; at most %d are possible", n, nodesMax)
	}
	if r.node(r.ID) == nil {
		return fmt.Errorf("replication.id: %d; replication.nodes has %v", r.ID, r.ids())
	}
	if r.Key != "" && r.KeyFile != "" {
		return errors.New("replication: key and keyFile are both set; one is possible")
	}
	seen := map[uint64]bool{}
	for _, n := range r.Nodes {
		if n.ID == 0 || seen[n.ID] {
			return fmt.Errorf("replication.nodes: id %d; each node has another one, from 1 on", n.ID)
		}
		seen[n.ID] = true
		if err := r.checkNode(&n); err != nil {
			return err
		}
	}
	for _, id := range r.Founders {
		if r.node(id) == nil {
			return fmt.Errorf("replication.founders: %d; replication.nodes has %v", id, r.ids())
		}
	}
	for group, id := range r.Leaders {
		if r.node(id) == nil || !slices.Contains(r.groups(), group) {
			return fmt.Errorf("replication.leaders: %s: %d; possible are groups %v on nodes %v", group, id, r.groups(), r.ids())
		}
	}
	return nil
}

func (r *replication) checkNode(n *replicationNode) error {
	if len(n.Brokers) == 0 {
		return fmt.Errorf("replication.nodes: node %d has no brokers; each broker group has a member on every node", n.ID)
	}
	for _, group := range r.groups() {
		if _, ok := n.Brokers[group]; !ok || len(n.Brokers) != len(r.groups()) {
			return fmt.Errorf("replication.nodes: node %d has other broker groups than node %d; each has a member on every node", n.ID, r.Nodes[0].ID)
		}
		if strings.ContainsAny(group, "/\\ \t\n\x00@") || group == "" {
			return fmt.Errorf("replication.nodes: broker group %q; letters, digits, - and _ are possible", group)
		}
	}
	addrs := map[string]string{"listen": n.Listen, "nameServer": n.NameServer}
	for group, addr := range n.Brokers {
		addrs["brokers."+group] = addr
	}
	if n.GRPC != "" {
		if _, _, err := net.SplitHostPort(n.GRPC); err != nil {
			return fmt.Errorf("replication.nodes: node %d: grpc: %q is not host:port", n.ID, n.GRPC)
		}
	}
	for field, addr := range addrs {
		if _, err := netip.ParseAddrPort(addr); err != nil {
			return fmt.Errorf("replication.nodes: node %d: %s: %q is not ip:port", n.ID, field, addr)
		}
	}
	return nil
}

// name is what the trail calls a node.
func (r *replication) name(id uint64) string {
	if n := r.node(id); n != nil && n.Name != "" {
		return n.Name
	}
	return fmt.Sprintf("node-%d", id)
}

// own sets what replication says of this node.
func (c *config) own() {
	r := &c.Replication
	if !r.on() {
		return
	}
	n := r.node(r.ID)
	c.Node = r.name(r.ID)
	if c.Trail.Node == 0 {
		c.Trail.Node = r.founders()[0]
	}
	c.NameServer.Listen = n.NameServer
	accept := true
	c.NameServer.AcceptBrokers = &accept
	for _, other := range r.Nodes {
		if other.ID != r.ID {
			c.NameServer.Addresses = append(c.NameServer.Addresses, other.NameServer)
		}
	}
}
