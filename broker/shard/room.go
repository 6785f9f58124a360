package shard

import "fmt"

// A leader whose disk has no room for the next segment hands its office to a member that has, so that sends go on. Each member tells its
// leader once a second whether it has room for more than one segment: who gets the office for its room must not give it back at once.
// When nobody has room nobody moves, and sends are refused.
const (
	roomEvery   = peersEvery // ticks between two words of a member
	roomStale   = 3 * roomEvery
	handOverMin = 50 // ticks between two tries
)

// room is what members told of their disks.
type room struct {
	ticks int
	told  map[uint64]word
	tried int // ticks since the last try to hand over
}

type word struct {
	roomy bool
	ticks int // since
}

// roomy says that this member could lead for more than one segment.
func (s *Shard) roomy() bool {
	_, free, err := s.opts.FS.Usage(s.opts.Dir)
	return err != nil || free >= 2*s.opts.SegmentBytes+s.opts.SegmentBytes/2
}

// tellRoom is called with each tick.
func (s *Shard) tellRoom() {
	r := &s.room
	if r.ticks++; r.ticks%roomEvery != 0 || s.opts.Aside == nil {
		return
	}
	if lead := s.node.Lead(); lead != 0 && lead != s.opts.ID {
		word := []byte{0}
		if s.roomy() {
			word[0] = 1
		}
		s.opts.Aside(lead, AsideRoom, word)
	}
}

func (s *Shard) onRoom(a aside) {
	if len(a.body) != 1 {
		return
	}
	if s.room.told == nil {
		s.room.told = map[uint64]word{}
	}
	s.room.told[a.from] = word{roomy: a.body[0] == 1}
}

// age forgets words that are old: who is not heard any more may be full or not.
func (r *room) age() {
	r.tried++
	for id, w := range r.told {
		if w.ticks++; w.ticks > roomStale {
			delete(r.told, id)
		} else {
			r.told[id] = w
		}
	}
}

// full says that a member said so.
func (r *room) full(id uint64) bool {
	w, ok := r.told[id]
	return ok && !w.roomy
}

// seekRoom hands the office over when this member cannot begin another segment. It is called with each tick.
func (s *Shard) seekRoom() {
	r := &s.room
	r.age()
	if s.leaderTerm == 0 || s.alone() || r.tried < handOverMin || s.node.Transferring() || s.log.HasRoom(s.opts.SegmentBytes) {
		return
	}
	st := Status{ID: s.opts.ID, Leads: true, Commit: s.node.Commit(), Peers: s.peers}
	for _, p := range s.peers {
		if r.told[p.ID].roomy && st.CanLead(p.ID) {
			r.tried = 0
			s.event("leader-move", fmt.Sprintf("no room for the next segment: member %d, which has room, shall lead", p.ID))
			s.node.Transfer(p.ID)
			return
		}
	}
}
