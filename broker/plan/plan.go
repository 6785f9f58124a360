package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Limits.
const (
	GroupsMax = 64  // broker groups of a cluster
	NameMax   = 100 // bytes: the name is part of system topics
)

// Plan is what the nodes agreed on.
type Plan struct {
	Version uint64            `json:"version"`
	Groups  []Group           `json:"groups,omitempty"`
	Leaders map[string]uint64 `json:"leaders,omitempty"` // broker group: node that shall lead it
	Drained map[uint64]Drain  `json:"drained,omitempty"`
}

// Group is a broker group that was added to the running cluster.
type Group struct {
	Name     string            `json:"name"`
	Founders []uint64          `json:"founders"`
	Addrs    map[uint64]string `json:"addrs"` // node: ip:port that clients dial
	AddedAt  int64             `json:"addedAt"`
	Done     bool              `json:"done"` // all founders were there once
}

// Drain is the wish that a node leads nothing.
type Drain struct {
	Since int64  `json:"since"`
	By    uint64 `json:"by,omitempty"` // node that takes its members' places; 0: they stay
	Done  bool   `json:"done"`         // it led nothing, and had no member if By says so
}

// Cluster is what the configuration says, for checks.
type Cluster struct {
	Nodes  []uint64
	Groups []string // configured
}

// Parse reads what Encode wrote.
func Parse(b []byte) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("plan of the cluster: %w", err)
	}
	return p, nil
}

// Encode is for storing.
func (p Plan) Encode() []byte {
	b, _ := json.Marshal(p) // numbers and strings: it cannot fail
	return b
}

// Group finds a group that was added.
func (p Plan) Group(name string) (Group, bool) {
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return p.Groups[i], true
}

// next is a copy to change.
func (p Plan) next() Plan {
	p.Version++
	p.Groups = slices.Clone(p.Groups)
	p.Leaders, p.Drained = maps.Clone(p.Leaders), maps.Clone(p.Drained)
	return p
}

// AddGroup is the plan with another broker group. The very same group again is no change: the command can be repeated.
func (p Plan) AddGroup(c Cluster, g Group) (Plan, error) {
	if err := CheckName(g.Name); err != nil {
		return p, err
	}
	if slices.Contains(c.Groups, g.Name) {
		return p, fmt.Errorf("broker group %s is there already, by the configuration: %v", g.Name, c.Groups)
	}
	if err := CheckFounders(c, g.Founders); err != nil {
		return p, err
	}
	if old, ok := p.Group(g.Name); ok {
		if slices.Equal(old.Founders, g.Founders) {
			return p, nil
		}
		return p, fmt.Errorf("broker group %s is there already, founded by nodes %v", g.Name, old.Founders)
	}
	if n := len(c.Groups) + len(p.Groups); n >= GroupsMax {
		return p, fmt.Errorf("broker group %s: the cluster has %d, which is the limit", g.Name, n)
	}
	for _, id := range c.Nodes {
		if _, err := netip.ParseAddrPort(g.Addrs[id]); err != nil {
			return p, fmt.Errorf("broker group %s: node %d: %q is not ip:port", g.Name, id, g.Addrs[id])
		}
	}
	n := p.next()
	n.Groups = append(n.Groups, g)
	return n.lead(g.Name, g.Founders[(len(c.Groups)+len(p.Groups))%len(g.Founders)]), nil
}

// CheckName refuses what is no name of a broker group.
func CheckName(name string) error {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return fmt.Errorf("broker group %.100q: letters, digits, - and _ are possible", name)
		}
	}
	if name == "" || len(name) > NameMax {
		return fmt.Errorf("broker group %.100q: the name has %d bytes; 1 to %d are possible", name, len(name), NameMax)
	}
	return nil
}

// CheckFounders refuses nodes that cannot found a group.
func CheckFounders(c Cluster, founders []uint64) error {
	if len(founders) == 0 {
		return fmt.Errorf("no nodes are named; possible are %v", c.Nodes)
	}
	for i, id := range founders {
		if !slices.Contains(c.Nodes, id) {
			return fmt.Errorf("node %d is not in the cluster; possible are %v", id, c.Nodes)
		}
		if slices.Contains(founders[:i], id) {
			return fmt.Errorf("node %d is named twice", id)
		}
	}
	return nil
}

// SetAddr is the plan with the address of a node that did not exist, or had another one, when the group was added.
func (p Plan) SetAddr(c Cluster, group string, node uint64, addr string) (Plan, error) {
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == group })
	if i < 0 {
		return p, fmt.Errorf("broker group %q was not added to this cluster", group)
	}
	if !slices.Contains(c.Nodes, node) {
		return p, fmt.Errorf("node %d is not in the cluster; possible are %v", node, c.Nodes)
	}
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return p, fmt.Errorf("broker group %s: node %d: %q is not ip:port", group, node, addr)
	}
	if p.Groups[i].Addrs[node] == addr {
		return p, nil
	}
	n := p.next()
	n.Groups[i].Addrs = maps.Clone(n.Groups[i].Addrs)
	n.Groups[i].Addrs[node] = addr
	return n, nil
}

// Lead is the plan in which a node shall lead a group.
func (p Plan) Lead(c Cluster, group string, node uint64) (Plan, error) {
	if _, added := p.Group(group); !added && !slices.Contains(c.Groups, group) {
		return p, fmt.Errorf("broker group %q is not in this cluster; it has %s", group, strings.Join(c.Groups, ", "))
	}
	if !slices.Contains(c.Nodes, node) {
		return p, fmt.Errorf("node %d is not in the cluster; possible are %v", node, c.Nodes)
	}
	if _, drained := p.Drained[node]; drained {
		return p, fmt.Errorf("node %d is drained and shall lead nothing: undrain it first", node)
	}
	if p.Leaders[group] == node {
		return p, nil
	}
	return p.next().lead(group, node), nil
}

func (p Plan) lead(group string, node uint64) Plan {
	if p.Leaders == nil {
		p.Leaders = map[string]uint64{}
	}
	p.Leaders[group] = node
	return p
}

// Drain is the plan in which a node leads nothing; by takes its members' places (0: they stay).
func (p Plan) Drain(c Cluster, node, by uint64, now int64) (Plan, error) {
	for _, id := range []uint64{node, by} {
		if !slices.Contains(c.Nodes, id) && (id != by || by != 0) {
			return p, fmt.Errorf("node %d is not in the cluster; possible are %v", id, c.Nodes)
		}
	}
	if node == by {
		return p, fmt.Errorf("node %d cannot take its own members' places", node)
	}
	if _, drained := p.Drained[by]; drained {
		return p, fmt.Errorf("node %d is drained itself: it cannot take the places of node %d", by, node)
	}
	old, drained := p.Drained[node]
	if drained && old.By == by {
		return p, nil
	}
	if !drained && len(p.Drained)+1 >= len(c.Nodes) {
		return p, fmt.Errorf("node %d is the last of %v that is not drained: nobody would lead", node, c.Nodes)
	}
	n := p.next()
	if n.Drained == nil {
		n.Drained = map[uint64]Drain{}
	}
	n.Drained[node] = Drain{Since: now, By: by}
	return n, nil
}

// Undrain lets a node lead again.
func (p Plan) Undrain(c Cluster, node uint64) (Plan, error) {
	if !slices.Contains(c.Nodes, node) {
		return p, fmt.Errorf("node %d is not in the cluster; possible are %v", node, c.Nodes)
	}
	if _, drained := p.Drained[node]; !drained {
		return p, nil
	}
	n := p.next()
	delete(n.Drained, node)
	return n, nil
}

// GroupDone and DrainDone remember that a change came to its end.
func (p Plan) GroupDone(name string) Plan {
	n := p.next()
	for i := range n.Groups {
		if n.Groups[i].Name == name {
			n.Groups[i].Done = true
		}
	}
	return n
}

// DrainDone is GroupDone for a drain.
func (p Plan) DrainDone(node uint64) Plan {
	n := p.next()
	if d, ok := n.Drained[node]; ok {
		d.Done = true
		n.Drained[node] = d
	}
	return n
}

// Leader is the first of the candidates that may lead a group: one of its voters, and not drained; 0: none.
func (p Plan) Leader(voters []uint64, candidates ...uint64) uint64 {
	for _, id := range candidates {
		if _, drained := p.Drained[id]; !drained && slices.Contains(voters, id) {
			return id
		}
	}
	return 0
}
