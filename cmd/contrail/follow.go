package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/plan"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
)

const (
	followEvery = 500 * time.Millisecond
	askEvery    = 2 * time.Second
	replaceWait = 5 * time.Second // between two tries to replace a member of a drained node
)

// followPlan makes this node what the plan says, until the stop.
func (n *node) followPlan(ctx context.Context) {
	if n.members == nil {
		return
	}
	f := &follower{n: n, tried: map[string]time.Time{}}
	f.startAll(ctx) // before requests come: what was agreed on before this start
	stop := rpc.Repeat(followEvery, func(now time.Time) { f.look(ctx, now) })
	n.onStop(func(context.Context) error { stop(); return nil })
}

// follower is what followPlan's goroutine knows.
type follower struct {
	n     *node
	tried map[string]time.Time // broker group: when a member's replacement was tried last
	asked time.Time            // when another node was asked for the plan
}

func (f *follower) look(ctx context.Context, now time.Time) {
	n := f.n
	for _, b := range n.brokers.all() {
		p, err := planOf(b)
		if err == nil {
			err = n.agreed.saw(p)
		}
		if err != nil {
			n.log.Warn("plan of the cluster not taken", "broker", b.name, "err", err)
		}
	}
	f.askAround(now)
	f.startAll(ctx)
	f.replace(now)
	if n.home().svc.Leads() {
		f.finish(ctx)
	}
}

// askAround asks another node for the plan when this one is no member of the home group, or was made none, and so is not told.
func (f *follower) askAround(now time.Time) {
	n := f.n
	st := n.home().svc.Shard().Status()
	if slices.Contains(st.Members.Voters, st.ID) && st.Lead != 0 || now.Sub(f.asked) < askEvery {
		return
	}
	f.asked = now
	for _, p := range n.conf.Replication.Nodes {
		if p.ID == n.conf.Replication.ID {
			continue
		}
		b, refused := ask(p.Brokers[n.home().name], inspect.ClusterChange{Kind: inspect.PlanOf})
		if refused != nil {
			continue
		}
		known, err := plan.Parse(b)
		if err == nil {
			err = n.agreed.saw(known)
		}
		if err != nil {
			n.log.Warn("plan of the cluster not taken", "node", p.ID, "err", err)
		}
	}
}

// startAll starts the members that are missing. One that cannot be started is tried again.
func (f *follower) startAll(ctx context.Context) {
	n := f.n
	for _, g := range n.plan().Groups {
		if n.brokers.find(g.Name) != nil || ctx.Err() != nil {
			continue
		}
		err := n.grow(ctx, g)
		old, failed := n.agreed.failed.Load(g.Name)
		if err == nil {
			n.agreed.failed.Delete(g.Name)
			continue
		}
		n.agreed.failed.Store(g.Name, err.Error())
		if !failed || old != err.Error() {
			n.log.Error("member of an added broker group not started; it is tried again", "broker", g.Name, "err", err)
			n.home().progress(inspect.ChangeProgress{
				Kind: "cluster", Subject: g.Name, State: inspect.Failed,
				Text: fmt.Sprintf("%s: member of broker group %s not started, it is tried again: %v", n.conf.Node, g.Name, err),
			})
		}
	}
}

// grow starts this node's member of a group that was added.
func (n *node) grow(ctx context.Context, g plan.Group) (err error) {
	b, err := n.newMember(g.Name, g.Addrs[n.conf.Replication.ID])
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			n.hear(n.brokers.all())
			stopping, cancel := context.WithTimeout(context.Background(), drainFor)
			defer cancel()
			_ = b.stop(stopping)
		}
	}()
	if err := n.openMember(ctx, b, g.Founders); err != nil {
		return err
	}
	n.hear(append(slices.Clone(n.brokers.all()), b))
	if err := n.startFront(b); err != nil {
		return err
	}
	b.register()
	n.brokers.add(b)
	if n.trail != nil {
		n.startShipper(ctx, n.trail, b)
	}
	n.home().progress(inspect.ChangeProgress{Kind: "cluster", Subject: g.Name, State: inspect.Running, Text: n.conf.Node + " started its member of broker group " + g.Name})
	return nil
}

// replace lets the members of drained nodes be replaced in the groups that this node leads. It is tried until it is so: the change
// ends when the leader changes meanwhile.
func (f *follower) replace(now time.Time) {
	for _, b := range f.n.brokers.all() {
		st := b.svc.Shard().Status()
		if !st.Leads || now.Sub(f.tried[b.name]) < replaceWait {
			continue
		}
		for node, d := range f.n.plan().Drained {
			if d.By == 0 || node == st.ID || !slices.Contains(st.Members.Voters, node) {
				continue
			}
			add := d.By
			if slices.Contains(st.Members.Voters, add) {
				add = 0
			}
			f.tried[b.name] = now
			if err := b.svc.ChangeMembers(add, node); err != nil && err.Code != service.CodeSystemBusy {
				f.n.log.Warn("member of a drained node not replaced; it is tried again", "broker", b.name, "node", node, "by", d.By, "err", err)
			}
			break
		}
	}
}

// finish notes as the leader of the home group what came to its end.
func (f *follower) finish(ctx context.Context) {
	n := f.n
	for _, c := range n.changes() {
		p := n.plan()
		if c.State != inspect.Done {
			continue
		}
		var done func(plan.Plan) plan.Plan
		switch c.Kind {
		case inspect.AddGroup:
			if g, _ := p.Group(c.Subject); g.Done {
				continue
			}
			done = func(p plan.Plan) plan.Plan { return p.GroupDone(c.Subject) }
		case inspect.DrainOf:
			id, _ := strconv.ParseUint(c.Subject, 10, 64)
			if p.Drained[id].Done {
				continue
			}
			done = func(p plan.Plan) plan.Plan { return p.DrainDone(id) }
		}
		ctx, cancel := context.WithTimeout(ctx, planPatience)
		_, err := n.changePlan(ctx, func(p plan.Plan) (plan.Plan, error) { return done(p), nil })
		cancel()
		if err == nil {
			c.Kind = "cluster"
			n.home().progress(c)
		}
		return // the others when this node has seen the plan
	}
}

// changes are those that the plan asks for, and how far they are as far as this node sees.
func (n *node) changes() []inspect.ChangeProgress {
	p, out := n.plan(), []inspect.ChangeProgress{}
	for _, g := range p.Groups {
		if !g.Done {
			out = append(out, n.groupProgress(g))
		}
	}
	for _, id := range n.layout().Nodes {
		if d, ok := p.Drained[id]; ok {
			out = append(out, n.drainProgress(id, d))
		}
	}
	return out
}

func (n *node) groupProgress(g plan.Group) inspect.ChangeProgress {
	c := inspect.ChangeProgress{Kind: inspect.AddGroup, Subject: g.Name, State: inspect.Running, Since: g.AddedAt}
	if why, failed := n.agreed.failed.Load(g.Name); failed {
		c.State, c.Text = inspect.Failed, fmt.Sprintf("%s: %s", n.conf.Node, why)
		return c
	}
	there, led := 0, false
	if b := n.brokers.find(g.Name); b != nil {
		st := b.svc.Shard().Status()
		led = st.Lead != 0
		for _, id := range g.Founders {
			if p, ok := st.Peer(id); ok && p.Active {
				there++
			}
		}
	}
	c.Percent = 100 * there / len(g.Founders)
	c.Text = fmt.Sprintf("broker group %s: %d of %d members are there", g.Name, there, len(g.Founders))
	if g.Done || led && there == len(g.Founders) {
		c.State, c.Percent = inspect.Done, 100
	}
	return c
}

func (n *node) drainProgress(id uint64, d plan.Drain) inspect.ChangeProgress {
	c := inspect.ChangeProgress{Kind: inspect.DrainOf, Subject: strconv.FormatUint(id, 10), State: inspect.Running, Since: d.Since}
	all := n.brokers.all()
	leads, unled, members := 0, 0, 0
	for _, b := range all {
		st := b.svc.Shard().Status()
		switch st.Lead {
		case id:
			leads++
		case 0: // it may be voted in
			unled++
		}
		if d.By != 0 && slices.Contains(slices.Concat(st.Members.Voters, st.Members.Learners, st.Members.Outgoing), id) {
			members++
		}
	}
	steps, left := len(all), leads+unled
	c.Text = fmt.Sprintf("node %d is drained: it leads %d of %d broker groups", id, leads, len(all))
	if d.By != 0 {
		steps, left = 2*len(all), left+members
		c.Text += fmt.Sprintf(" and has %d members, which node %d replaces", members, d.By)
	}
	c.Percent = 100 * (steps - left) / max(1, steps)
	if left == 0 {
		c.State = inspect.Done
	}
	return c
}

// Cluster implements remoting.Cluster.
func (n *node) Cluster() inspect.Cluster {
	c := inspect.Cluster{Nodes: []inspect.ClusterNode{}, Changes: []inspect.ChangeProgress{}}
	c.Groups = consoleBroker{n.brokers.all, n.memberAddr}.InspectNode().Groups
	if n.members == nil {
		for i := range c.Groups[0].Members {
			c.Groups[0].Members[i].Addr = n.home().store.String()
		}
		return c
	}
	p, r := n.plan(), &n.conf.Replication
	c.Node, c.Version, c.Changes = r.ID, p.Version, n.changes()
	for _, id := range r.ids() {
		d, drained := p.Drained[id]
		node := inspect.ClusterNode{ID: id, Name: r.name(id), Drained: drained, ReplacedBy: d.By, Leads: []string{}, MemberOf: []string{}}
		for _, g := range c.Groups {
			if g.Leader == id {
				node.Leads = append(node.Leads, g.Name)
			}
			if slices.ContainsFunc(g.Members, func(m inspect.BrokerMember) bool { return m.ID == id }) {
				node.MemberOf = append(node.MemberOf, g.Name)
			}
		}
		c.Nodes = append(c.Nodes, node)
	}
	return c
}

func progressDetail(broker string, p inspect.ChangeProgress) map[string]string {
	return map[string]string{"broker": broker, "subject": p.Subject, "state": p.State, "percent": strconv.Itoa(p.Percent)}
}
