package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// network carries messages between members: later, never, twice, in another order.
type network struct {
	w     *world
	cut   [membersMax][membersMax]bool // from, to
	drop  float64                      // percent
	twice float64
	delay int64 // longest, µs
}

const calmDelay = 2 * milli

func (n *network) init(w *world) { n.w, n.delay = w, calmDelay }

func (n *network) heal() {
	n.cut = [membersMax][membersMax]bool{}
	n.drop, n.twice, n.delay = 0, 0, calmDelay
}

// post takes what a member wants to send.
func (n *network) post(m *member) {
	for _, msg := range m.outbox {
		to := int(msg.GetTo()) - 1
		if to < 0 || to >= len(n.w.members) {
			continue
		}
		sent := proto.Clone(msg).(*pb.Message) // what is on the wire does not change any more
		n.carry(m.id, to, func(t *member) { t.shard.Receive(sent) })
	}
	m.outbox = m.outbox[:0]
	asides := m.asides
	m.asides = m.asides[:0]
	for _, a := range asides {
		n.carry(a.from, a.to, func(t *member) { t.shard.Aside(uint64(a.from)+1, a.kind, a.body) })
	}
}

func (n *network) carry(from, to int, arrive func(*member)) {
	if n.cut[from][to] || n.w.chance(n.drop) {
		return
	}
	times := 1
	if n.w.chance(n.twice) {
		times = 2
	}
	for range times {
		n.w.after(n.w.between(50, n.delay), func() {
			t := n.w.members[to]
			if n.cut[from][to] {
				return
			}
			t.do(func() { arrive(t); t.turn() })
		})
	}
}

// isolate cuts one member off, in both directions or in one.
func (n *network) isolate(id int, in, out bool) {
	for other := range membersMax {
		if other != id {
			n.cut[other][id] = n.cut[other][id] || in
			n.cut[id][other] = n.cut[id][other] || out
		}
	}
}
