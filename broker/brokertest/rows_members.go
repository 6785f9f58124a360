package brokertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// memberRows change the members of broker groups while nodes die and links are cut.
func memberRows() []*Row {
	return []*Row{{
		Number: 33, Fault: "a member goes and comes back while the leader is killed, and while the leader is cut off", Workload: "W1 W2 W7",
		Lan: true, Run: changeMembers, Heal: wholeAgain,
	}}
}

// changeMembers asks for each change as a person does: again, until it is so.
func changeMembers(r *Round) {
	faults := []func(*Round, *Node){killDuringChange, cutDuringChange}
	for i := 0; ; i++ {
		g, l := r.next(i)
		if l == nil {
			return
		}
		away := r.Nodes[others(l.ID)[0]-1]
		if !r.changed(g, 0, away.ID, 30*time.Second) {
			return
		}
		r.ask(g, away.ID, 0) // it is under way when the fault comes
		faults[i%len(faults)](r, l)
		if !r.changed(g, away.ID, 0, 60*time.Second) || !r.More(2*time.Second) {
			return
		}
	}
}

func killDuringChange(r *Round, leader *Node) {
	leader.Kill()
	time.Sleep(time.Second)
	r.again(leader)
}

func cutDuringChange(r *Round, leader *Node) {
	for _, o := range others(leader.ID) {
		r.Lan.Cut(leader.ID, o)
	}
	time.Sleep(3 * time.Second)
	r.Lan.Heal()
}

// changed asks for a change of members until it is so.
func (r *Round) changed(group string, add, remove int, patience time.Duration) bool {
	began, asked, why := time.Now(), 0, ""
	for ; time.Since(began) < patience; time.Sleep(200 * time.Millisecond) {
		g, ok := r.group(group)
		in := func(id int) bool {
			return slices.ContainsFunc(g.Members, func(m inspect.BrokerMember) bool { return m.ID == uint64(id) && m.State != "learner" })
		}
		if ok && (add == 0 || in(add)) && (remove == 0 || !in(remove)) {
			if asked > 0 {
				r.Note("%s: add %d, remove %d: so after %v", group, add, remove, time.Since(began).Round(time.Millisecond))
			}
			return true
		}
		if asked++; asked%5 == 1 {
			why = r.ask(group, add, remove)
		}
	}
	r.Fail("%s: add %d, remove %d: not so after %v: %s", group, add, remove, patience, why)
	return false
}

// ask asks a running node once; "" when the change began.
func (r *Round) ask(group string, add, remove int) (why string) {
	for _, n := range r.Nodes {
		if !n.Running() {
			continue
		}
		c := rpc.Client{Addr: n.Brokers[group], Timeout: 5 * time.Second}
		f, err := c.Do(wire.BrokerGroupMembers, []rpc.Field{{Name: "add", Value: fmt.Sprint(add)}, {Name: "remove", Value: fmt.Sprint(remove)}}, nil)
		if err == nil && f.Code == 0 {
			c.Close()
			return ""
		}
		if why = fmt.Sprint(err); err == nil {
			why = strings.Clone(string(f.Remark))
		}
		c.Close()
	}
	return why
}

// group is a broker group as the node that leads it sees it.
func (r *Round) group(name string) (g inspect.BrokerGroup, ok bool) {
	l := r.Leader(name)
	if l == nil {
		return g, false
	}
	c := rpc.Client{Addr: l.Brokers[name], Timeout: 2 * time.Second}
	defer c.Close()
	f, err := c.Do(wire.BrokerGroupInfo, nil, nil)
	ok = err == nil && f.Code == 0 && json.Unmarshal(f.Body, &g) == nil
	return g, ok
}

// wholeAgain gives every group its three members back.
func wholeAgain(r *Round) {
	r.Lan.Heal()
	for _, n := range r.Nodes {
		if !n.Running() {
			r.again(n)
		}
	}
	for _, g := range Groups {
		for id := range len(r.Nodes) {
			r.changed(g, id+1, 0, 60*time.Second)
		}
	}
}
