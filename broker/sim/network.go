package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/shard"
)

// network carries messages between members: later, never, twice, in another order.
type network struct {
	w       *world
	cut     [membersMax][membersMax]bool // from, to
	known   [membersMax][membersMax]int  // incarnation + 1 of "to" as "from" met it first
	drop    float64                      // percent
	twice   float64
	corrupt float64 // percent of a snapshot's pieces
	usual   float64 // percent of a snapshot's pieces that are damaged in this run all the time
	delay   int64   // longest, µs
}

const calmDelay = 2 * milli

func (n *network) init(w *world) { n.w, n.delay = w, calmDelay }

func (n *network) heal() {
	n.cut = [membersMax][membersMax]bool{}
	n.drop, n.twice, n.corrupt, n.delay = 0, 0, n.usual, calmDelay
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
		if a.to < 0 || a.to >= len(n.w.members) {
			continue
		}
		body := n.decay(a.kind, a.body)
		n.carry(a.from, a.to, func(t *member) { t.shard.Aside(uint64(a.from)+1, a.kind, body) })
	}
}

// decay inverts a bit in a piece of a snapshot: what was read from the source's disk, or its memory, was bad.
func (n *network) decay(kind shard.AsideKind, body []byte) []byte {
	const head = 18 // and the file's name, whose length is the last byte
	if kind != shard.AsidePiece || n.corrupt == 0 || !n.w.chance(n.corrupt) || len(body) <= head+int(body[head-1]) {
		return body
	}
	from := head + int(body[head-1])
	out := append([]byte(nil), body...)
	out[from+n.w.rng.IntN(len(out)-from)] ^= 1 << n.w.rng.IntN(8)
	n.w.say("a bit of a snapshot's piece flips")
	return out
}

// vet says whether two members let each other in: each remembers, for ever, the incarnation in which it met the other first.
func (n *network) vet(a, b *member) bool {
	for _, pair := range [][2]*member{{a, b}, {b, a}} {
		known := &n.known[pair[0].id][pair[1].id]
		if *known == 0 {
			*known = pair[1].incarnation + 1
		}
		if *known != pair[1].incarnation+1 && !n.w.conf.NoVet {
			n.w.covered(Turned)
			return false
		}
	}
	return true
}

// met says that all others that are left met a member: only then can they tell that it is not the one it was.
func (n *network) met(m *member) bool {
	for _, other := range n.w.members {
		if other != m && !other.gone && n.known[other.id][m.id] == 0 {
			return false
		}
	}
	return true
}

func (n *network) carry(from, to int, arrive func(*member)) {
	if n.cut[from][to] || n.w.chance(n.drop) || !n.vet(n.w.members[from], n.w.members[to]) {
		return
	}
	times := 1
	if n.w.chance(n.twice) {
		times = 2
	}
	incarnation := n.w.members[to].incarnation
	for range times {
		n.w.after(n.w.between(50, n.delay), func() {
			t := n.w.members[to]
			if n.cut[from][to] || t.incarnation != incarnation && !n.w.conf.NoVet {
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
