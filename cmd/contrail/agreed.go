package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/plan"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/broker/wire"
)

const (
	planFile      = "plan" // in the data folder
	planMax       = 1 << 20
	planTopic     = "rmq_sys_CONTRAIL_PLAN"
	planAttribute = "plan"
	planPatience  = 8 * time.Second
	planAgain     = 200 * time.Millisecond
	portStep      = 10 // between the ports of two broker groups of a node
	portTries     = 10
)

// agreed is the newest plan of the cluster that this node saw.
type agreed struct {
	now      atomic.Pointer[plan.Plan]
	changing sync.Mutex // one change at a time, by the leader of the home group
	tried    tried      // held with changing
	file     string
	failed   sync.Map // broker group → why this node's member of it could not be started
}

// tried is the plan that this node proposed last, and in which term. While it leads in that term, what it proposed is stored before anything
// that it proposes later, even when nobody waits for it any more: the next plan must begin there.
type tried struct {
	term uint64
	plan plan.Plan
}

// over is the plan that comes before the next one of this term, when old is what was applied.
func (t tried) over(old plan.Plan, term uint64) plan.Plan {
	if t.term == term && t.plan.Version > old.Version {
		return t.plan
	}
	return old
}

// load reads what this node knew when it ended.
func (a *agreed) load(dir string) error {
	a.file = filepath.Join(dir, planFile)
	b, err := vfs.ReadFile(vfs.OS{}, a.file, planMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p plan.Plan
	if err == nil {
		p, err = plan.Parse(b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.file, err)
	}
	a.now.Store(&p)
	return nil
}

// saw keeps a plan that is newer than what is known. Only followPlan's goroutine calls it.
func (a *agreed) saw(p plan.Plan) error {
	if old := a.now.Load(); old != nil && old.Version >= p.Version {
		return nil
	}
	if err := vfs.WriteFileAtomic(vfs.OS{}, a.file, p.Encode()); err != nil {
		return err
	}
	a.now.Store(&p)
	return nil
}

func (n *node) plan() plan.Plan {
	if p := n.agreed.now.Load(); p != nil {
		return *p
	}
	return plan.Plan{}
}

// planOf reads the plan from what a member of a group has applied.
func planOf(b *broker) (plan.Plan, error) {
	t, ok := b.svc.Topic(planTopic)
	if !ok {
		return plan.Plan{}, nil
	}
	return plan.Parse([]byte(t.Attributes[planAttribute]))
}

func (n *node) home() *broker { return n.brokers.first() }

func (n *node) layout() plan.Cluster {
	r := &n.conf.Replication
	return plan.Cluster{Nodes: r.ids(), Groups: r.groups()}
}

// changePlan stores another plan in the home group, which this node must lead.
func (n *node) changePlan(ctx context.Context, change func(plan.Plan) (plan.Plan, error)) (plan.Plan, *service.Error) {
	n.agreed.changing.Lock()
	defer n.agreed.changing.Unlock()
	old, err := planOf(n.home())
	if err != nil {
		return old, service.Refuse(service.CodeSystemError, "%v", err)
	}
	if known := n.plan(); known.Version > old.Version { // of an older home group
		old = known
	}
	term := n.home().svc.Term()
	old = n.agreed.tried.over(old, term)
	p, err := change(old)
	if err != nil {
		return p, service.Refuse(service.CodeInvalidParameter, "%v", err)
	}
	if p.Version == old.Version {
		return p, nil
	}
	n.agreed.tried = tried{term, p}
	topic := catalog.NewTopic(planTopic, 1)
	topic.Perm, topic.Attributes = 0, map[string]string{planAttribute: string(p.Encode())}
	return p, n.home().svc.PutTopic(ctx, topic)
}

// ClusterChange implements remoting.Cluster: it answers when a majority has the change.
func (n *node) ClusterChange(body []byte) ([]byte, *service.Error) {
	var c inspect.ClusterChange
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, service.Refuse(service.CodeInvalidParameter, "change of the cluster: %v", err)
	}
	if n.members == nil {
		return nil, service.Refuse(service.CodeInvalidParameter, "this node is alone (replication is not configured)")
	}
	if c.Kind == inspect.PlanOf {
		return n.plan().Encode(), nil
	}
	if c.Kind == inspect.Offer {
		addr, err := n.offer(c.Group, c.Addrs[n.conf.Replication.ID])
		if err != nil {
			return nil, service.Refuse(service.CodeInvalidParameter, "%v", err)
		}
		return []byte(addr), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), planPatience)
	defer cancel()
	for {
		err := n.changeHere(ctx, c)
		if err == nil || err.Code != service.CodeServiceNotAvailable || c.Relayed {
			return nil, err
		}
		select { // repeating a change does no harm, and a leader that died is followed by another one soon
		case <-ctx.Done():
			return nil, err
		case <-time.After(planAgain):
		}
	}
}

// changeHere makes a change, or hands it to who leads the home group.
func (n *node) changeHere(ctx context.Context, c inspect.ClusterChange) *service.Error {
	if n.home().svc.Leads() {
		return n.change(ctx, c)
	}
	return n.relayChange(c)
}

// relayChange hands a change to the node that leads the home group.
func (n *node) relayChange(c inspect.ClusterChange) *service.Error {
	addr := n.memberAddr(n.home().name, n.home().svc.Leader())
	if addr == "" || c.Relayed {
		return service.Refuse(service.CodeServiceNotAvailable, "nobody leads broker group %s, which keeps the cluster's plan; try again", n.home().name)
	}
	c.Relayed = true
	_, err := ask(addr, c)
	return err
}

// ask sends a change to another node's port.
func ask(addr string, c inspect.ClusterChange) ([]byte, *service.Error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, service.Refuse(service.CodeSystemError, "%v", err)
	}
	k := rpc.Client{Addr: addr, Timeout: planPatience}
	defer k.Close()
	f, err := k.Do(wire.BrokerClusterChange, nil, b)
	if err != nil {
		return nil, service.Refuse(service.CodeServiceNotAvailable, "%v", err)
	}
	if f.Code != 0 {
		return nil, service.Refuse(int(f.Code), "%s", f.Remark)
	}
	return slices.Clone(f.Body), nil
}

// change makes a change as the leader of the home group.
func (n *node) change(ctx context.Context, c inspect.ClusterChange) *service.Error {
	cluster, now := n.layout(), time.Now().UnixMilli()
	var change func(plan.Plan) (plan.Plan, error)
	switch c.Kind {
	case inspect.AddGroup:
		return n.addGroup(ctx, c)
	case inspect.DrainOf:
		change = func(p plan.Plan) (plan.Plan, error) { return p.Drain(cluster, c.Node, c.By, now) }
	case inspect.Undrain:
		change = func(p plan.Plan) (plan.Plan, error) { return p.Undrain(cluster, c.Node) }
	case inspect.Prefer:
		change = func(p plan.Plan) (plan.Plan, error) { return p.Lead(cluster, c.Group, c.Node) }
	case inspect.Address:
		change = func(p plan.Plan) (plan.Plan, error) { return p.SetAddr(cluster, c.Group, c.Node, c.Addrs[c.Node]) }
	default:
		return service.Refuse(service.CodeInvalidParameter, "change %.100q; add-group, drain, undrain and prefer are possible", c.Kind)
	}
	before := n.plan().Version
	p, err := n.changePlan(ctx, change)
	if err == nil && p.Version != before && c.Kind != inspect.Address {
		n.home().progress(startOf(c))
	}
	return err
}

func startOf(c inspect.ClusterChange) inspect.ChangeProgress {
	p := inspect.ChangeProgress{Kind: "cluster", Subject: c.Group, State: inspect.Running}
	switch c.Kind {
	case inspect.AddGroup:
		p.Text = fmt.Sprintf("broker group %s is added: nodes %v start their members", c.Group, c.Nodes)
	case inspect.DrainOf:
		p.Text = fmt.Sprintf("node %d is drained: its leaders move, and none comes back", c.Node)
		if c.By != 0 {
			p.Text += fmt.Sprintf("; node %d takes its members' places", c.By)
		}
	case inspect.Undrain:
		p.State, p.Text = inspect.Done, fmt.Sprintf("node %d is drained no more: its leaders come back", c.Node)
	case inspect.Prefer:
		p.Text = fmt.Sprintf("%s shall be led by node %d", c.Group, c.Node)
	}
	return p
}

// addGroup asks all nodes where they can listen, then stores the group. Nothing is changed when a node refuses.
func (n *node) addGroup(ctx context.Context, c inspect.ClusterChange) *service.Error {
	cluster := n.layout()
	if len(c.Nodes) == 0 {
		c.Nodes = n.conf.Replication.founders()
	}
	slices.Sort(c.Nodes)
	if old, ok := n.plan().Group(c.Group); ok { // the command is repeated
		c.Addrs = old.Addrs
	} else if err := errors.Join(plan.CheckName(c.Group), plan.CheckFounders(cluster, c.Nodes)); err != nil {
		return service.Refuse(service.CodeInvalidParameter, "%v", err)
	} else if c.Addrs, err = n.offers(c); err != nil {
		return service.Refuse(service.CodeInvalidParameter, "%v", err)
	}
	g := plan.Group{Name: c.Group, Founders: c.Nodes, Addrs: c.Addrs, AddedAt: time.Now().UnixMilli()}
	known := n.plan().Version
	p, err := n.changePlan(ctx, func(p plan.Plan) (plan.Plan, error) { return p.AddGroup(cluster, g) })
	if err == nil && p.Version > known {
		n.home().progress(startOf(c))
	}
	return err
}

// offers gives each node's address for a new group. A group is founded when all its founders agreed, so they must be there; another
// node that is down has the address that is likely to be free, and may join later.
func (n *node) offers(c inspect.ClusterChange) (map[uint64]string, error) {
	r, addrs := &n.conf.Replication, maps.Clone(c.Addrs)
	if addrs == nil {
		addrs = map[uint64]string{}
	}
	for _, p := range r.Nodes {
		wish := inspect.ClusterChange{Kind: inspect.Offer, Group: c.Group, Addrs: map[uint64]string{p.ID: addrs[p.ID]}}
		b, err := ask(p.Brokers[n.home().name], wish)
		switch {
		case err == nil:
			addrs[p.ID] = string(b)
		case err.Code != service.CodeServiceNotAvailable:
			return nil, fmt.Errorf("node %d: %s", p.ID, err.Text)
		case slices.Contains(c.Nodes, p.ID):
			return nil, fmt.Errorf("node %d does not answer (%s): all of %v found broker group %s together; name those that run, and add the others when they are back", p.ID, err.Text, c.Nodes, c.Group)
		case addrs[p.ID] == "":
			addrs[p.ID] = n.likely(&p, 1).String()
		}
	}
	return addrs, nil
}

// likely is the nth address behind those of a node's groups.
func (n *node) likely(p *replicationNode, nth int) netip.AddrPort {
	var last netip.AddrPort
	addrs := slices.Collect(maps.Values(p.Brokers))
	for _, g := range n.plan().Groups {
		addrs = append(addrs, g.Addrs[p.ID])
	}
	for _, a := range addrs {
		if ap, err := netip.ParseAddrPort(a); err == nil && ap.Port() >= last.Port() {
			last = ap
		}
	}
	return netip.AddrPortFrom(last.Addr(), last.Port()+uint16(portStep*nth))
}

// offer finds an address on which this node can listen for a new group.
func (n *node) offer(group, wish string) (string, error) {
	if b := n.brokers.find(group); b != nil {
		return b.listen, nil
	}
	if wish != "" {
		return wish, free(wish)
	}
	var err error
	for nth := 1; nth <= portTries; nth++ {
		addr := n.likely(n.conf.Replication.node(n.conf.Replication.ID), nth).String()
		if err = free(addr); err == nil {
			return addr, nil
		}
	}
	return "", fmt.Errorf("%w; name addresses with --address", err)
}

func free(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// drained says that this node shall lead nothing.
func (n *node) drained() bool {
	_, ok := n.plan().Drained[n.conf.Replication.ID]
	return ok
}

// leaderFor is the node that shall lead a group; 0: any.
func (n *node) leaderFor(group string, voters []uint64) uint64 {
	p, r := n.plan(), &n.conf.Replication
	wanted := r.preferred(group)
	if id := p.Leaders[group]; id != 0 {
		wanted = id
	}
	return p.Leader(voters, append([]uint64{wanted}, voters...)...)
}
