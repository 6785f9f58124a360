package shard

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
)

// proposal is one entry on its way.
type proposal struct {
	index    uint64
	term     uint64
	payload  []byte
	batches  []*Batch
	commands []command
	formed   int64 // µs
	keys     []uint64
	alone    bool  // nothing is proposed behind it before it was applied
	ticks    int   // since this member was voted out
	due      int64 // ms, the least of what is parked in it; 0: nothing is
}

// roomSlack is what an entry may need besides its messages: header, origins, producers, a roll's records.
const (
	roomSlack  = 256 << 10
	roomPlenty = 8 << 20 // more than the commands of an entry can need
)

// mayPropose says whether something waits that should become an entry now: while a sync runs, only a full entry.
func (s *Shard) mayPropose() bool {
	if s.leaderTerm == 0 || len(s.inflight) >= inflightMax || s.changing != nil || len(s.changes) > 0 || s.deleting() {
		return false
	}
	if len(s.commands) == 0 && len(s.pending) == 0 && !s.deeds.look && !s.offsetsWait() {
		return false
	}
	if s.syncing == nil || !s.opts.Durable {
		return true
	}
	return s.pendingFull()
}

// deletes says that a command takes a topic, a group or a queue's leases away. It stands alone in its entry, and nothing is proposed behind
// it before it was applied: messages that were formed for the old topic, offsets committed in it, and what was decided of leases must not
// come to stand behind it, where they would be taken for those of a topic that is made later under the same name, or name what is gone.
func (s *Shard) deletes(c *command) bool {
	return c.kind == entry.KindTopicDelete || c.kind == entry.KindGroupDelete || c.kind == entry.KindOffsetReset && !s.opts.Planted.ResetBeside
}

func (s *Shard) deleting() bool {
	n := len(s.inflight)
	return n > 0 && s.inflight[n-1].alone
}

// offsetsWait says whether commits wait to be proposed and the last ones are some time ago. Their group may have been deleted
// meanwhile: then nothing waits.
func (s *Shard) offsetsWait() bool {
	return s.offsetsDue.Load() && s.opts.Now().Sub(s.lastOffsets) >= offsetsEvery && s.offsets.Dirty()
}

func (s *Shard) pendingFull() bool {
	n := 0
	for _, b := range s.pending {
		if n += len(b.Buf); n >= EntryBytes {
			return true
		}
	}
	return false
}

// propose makes one entry of what waits.
func (s *Shard) propose() error {
	if err := s.endSegment(); err != nil {
		return err
	}
	if s.proposeMembers() || !s.mayPropose() {
		return nil
	}
	p := s.newProposal()
	p.alone = len(s.commands) > 0 && s.deletes(&s.commands[0])
	p.formed = max(s.opts.Now().UnixMicro(), s.lastMicros)
	bytes := s.cut(p)
	if len(p.batches) == 0 && len(s.commands) == 0 && !s.offsetsWait() { // all deeds that were looked at wait or did not hold
		s.proposals = append(s.proposals, p)
		return nil
	}
	if refused := s.refuses(p.batches, bytes); refused != nil {
		s.finish(p, refused)
		s.refuseCommands(refused)
		s.offsetsDue.Store(false) // they wait for the next try: the loop has other things to do
		s.lastOffsets = s.opts.Now()
		return nil
	}
	s.gather(p, bytes)
	s.fill(p, bytes)
	if len(p.payload) > seglog.DataMax {
		s.undo(p)
		s.finish(p, fmt.Errorf("an entry of %d bytes: %w", len(p.payload), ErrTooLarge))
		return nil
	}
	return s.send(p)
}

// refuses says why no entry can be made of the batches now.
func (s *Shard) refuses(batches []*Batch, bytes int) error {
	if len(s.seals)+inflightMax >= cap(s.seals) { // each entry on its way may begin a segment, and the loop must not wait
		return ErrBehind
	}
	if !s.hasRoom(batches, bytes) {
		return ErrNoSpace
	}
	return nil
}

// send hands a proposal to raft.
func (s *Shard) send(p *proposal) error {
	if err := s.node.Propose(p.payload); err != nil {
		s.undo(p)
		why := ErrBusy
		if s.node.Transferring() { // who asks again finds the next leader
			why = ErrNotLeader
		}
		s.finish(p, why)
		return nil
	}
	s.lastMicros = p.formed
	p.term, p.index = s.leaderTerm, s.nextIndex()
	s.nextPos += seglog.RecordSize(len(p.payload))
	s.inflight = append(s.inflight, p)
	s.opts.Planted.answerFormed(p.batches)
	return nil
}

// hasRoom says whether the entry of these batches and of what else waits finds room. It counts too much rather than too little:
// a log that must roll on a full disk is lost.
func (s *Shard) hasRoom(batches []*Batch, bytes int) bool {
	n := int64(bytes) + s.slack
	if s.log.SegmentRoom() > n+roomPlenty {
		return true
	}
	n += int64(min(s.offsets.Waiting(), offsetsMax)) * entry.OffsetMax
	for _, c := range s.commands[:s.commandsNext()] {
		n += int64(len(c.body))
	}
	var last *Producer
	for _, b := range batches {
		n += b.Deed.bytes()
		n += int64(len(b.Items)) * entry.OriginSize
		for i := range b.Items {
			if p := b.Items[i].Producer; p != nil && p != last {
				n, last = n+entry.ProducerMax, p
			}
		}
	}
	return s.log.HasRoom(n)
}

// commandsNext is how many of the commands that wait come into the next entry: at least one.
func (s *Shard) commandsNext() int {
	n, bytes := 0, 0
	for n < min(len(s.commands), commandsMax) && (n == 0 || bytes+len(s.commands[n].body) <= CommandMax) {
		if s.deletes(&s.commands[n]) {
			return max(n, 1)
		}
		bytes += len(s.commands[n].body)
		n++
	}
	return n
}

func (s *Shard) refuseCommands(err error) {
	for _, c := range s.commands {
		s.answerCommand(c, err)
	}
	s.commands = nil
}

// nextIndex is the index of the entry that was proposed just now. Only this loop proposes while it leads.
func (s *Shard) nextIndex() uint64 {
	if n := len(s.inflight); n > 0 {
		return s.inflight[n-1].index + 1
	}
	return s.applied.Load() + 1
}

// cut gives an entry its batches: the deeds that hold, then others from the front of pending, up to about EntryBytes. bytes are those
// of their messages.
func (s *Shard) cut(p *proposal) (bytes int) {
	p.batches, p.commands, p.keys = p.batches[:0], p.commands[:0], p.keys[:0] // of the proposal that this one was
	if p.alone {
		return 0
	}
	if s.deeds.look {
		bytes = s.cutDeeds(p)
	}
	deeds, n := len(p.batches), 0
	for n < len(s.pending) && (bytes < EntryBytes || n+deeds == 0) {
		bytes += len(s.pending[n].Buf)
		n++
	}
	p.batches = append(p.batches, s.pending[:n]...)
	left := copy(s.pending, s.pending[n:])
	clear(s.pending[left:])
	s.pending = s.pending[:left]
	return bytes
}

// gather lists the messages by queue, so that each queue's messages lie together, and collects commands.
func (s *Shard) gather(p *proposal, bytes int) {
	s.builder.Reset()
	s.formed++
	n := s.commandsNext()
	p.commands = append(p.commands[:0], s.commands[:n]...)
	s.commands = append(s.commands[:0], s.commands[n:]...)
	for _, c := range p.commands {
		s.builder.Command(c.kind, c.body)
		s.noteFire(c.kind, c.body)
	}
	s.tookOffsets = s.tookOffsets[:0]
	if !p.alone {
		s.gatherOffsets()
	}
	for _, b := range p.batches {
		if b.Deed == nil {
			break // deeds come first
		}
		for _, c := range b.Deed.Commands {
			s.builder.Command(c.Kind, c.Body)
			s.noteFire(c.Kind, c.Body)
		}
	}
	seq, near := s.log.ActiveSeq(), s.log.SegmentRoom() < int64(bytes)+s.slack
	s.items, s.touched = s.items[:0], s.touched[:0]
	for _, b := range p.batches {
		for i := range b.Items {
			it := &b.Items[i]
			if it.Gone = it.Queue.Dead; it.Gone {
				continue
			}
			it.bytes = b.Buf[it.From:it.To]
			s.define(it.Producer, seq, near)
			s.link(it)
		}
	}
}

func (s *Shard) gatherOffsets() {
	if !s.offsets.Dirty() {
		return
	}
	s.offsetsDue.Store(false)
	s.lastOffsets = s.opts.Now()
	if s.tookOffsets = s.offsets.Take(s.tookOffsets[:0], offsetsMax); len(s.tookOffsets) > 0 {
		s.builder.Command(entry.KindOffsets, s.tookOffsets)
	}
}

// define writes down who a producer ref is, once per segment; near a segment's end once in every entry, because the entry may
// come to lie in the next one.
func (s *Shard) define(p *Producer, seq uint64, near bool) {
	if p == nil || p.formed == s.formed || p.definedIn == seq && p.term == s.leaderTerm && !near {
		return
	}
	p.formed, p.term = s.formed, s.leaderTerm
	if p.definedIn = seq; near {
		p.definedIn = 0
	}
	s.scratch = entry.AppendProducer(s.scratch[:0], &p.Producer)
	s.builder.Command(entry.KindProducer, s.scratch)
}

// link appends an item to its queue's list.
func (s *Shard) link(it *Item) {
	q, at := it.Queue, int32(len(s.items))
	s.items = append(s.items, it)
	it.next = -1
	if q.Tail < 0 {
		q.Head = at
		s.touched = append(s.touched, q)
	} else {
		s.items[q.Tail].next = at
	}
	q.Tail = at
}

// fill writes the payload: each message gets its offset, position and store time.
func (s *Shard) fill(p *proposal, bytes int) {
	n := len(s.items)
	p.payload = s.builder.Start(s.buffer(s.builder.Size(n)+bytes), p.formed, n)
	base, millis, i := s.nextPos+seglog.RecordHeaderSize, p.formed/1000, 0
	for _, q := range s.touched {
		for at := q.Head; at >= 0; i++ {
			it := s.items[at]
			s.builder.SetOrigin(p.payload, i, origin(it, p.formed))
			start := len(p.payload)
			p.payload = append(p.payload, it.bytes...)
			if it.Due != 0 {
				s.raiseDue(p, it, p.payload[start:])
			}
			it.Offset, it.Position = q.Next, base+int64(start)
			message.Place(message.View(p.payload[start:]), q.ID, it.Offset, it.Position, millis)
			q.Next++
			at = it.next
		}
		q.Head, q.Tail = -1, -1
	}
}

func origin(it *Item, formed int64) entry.Origin {
	o := entry.Origin{WaitedMicros: uint32(min(max(formed-it.ReceivedMicros, 0), 1<<32-1))}
	if it.Producer != nil {
		o.ProducerRef = it.Producer.Ref
	}
	return o
}

// undo takes the offsets back that a refused proposal gave; what it would have defined and committed is to be told again.
func (s *Shard) undo(p *proposal) {
	back := map[*queue.Queue]int64{}
	for _, b := range p.batches {
		for i := range b.Items {
			if b.Items[i].Gone {
				continue
			}
			back[b.Items[i].Queue]++
			if p := b.Items[i].Producer; p != nil {
				p.definedIn = 0
			}
		}
	}
	s.offsets.Untake(s.tookOffsets)
	for q, n := range back {
		q.Next -= n
	}
}

// finish answers a proposal and takes its memory back.
func (s *Shard) finish(p *proposal, err error) {
	if p.term == s.leaderTerm || p.term == 0 { // else what it touched was forgotten when this term began
		s.deeds.release(p.keys)
	}
	p.keys = p.keys[:0]
	for _, b := range p.batches {
		s.answer(b, err)
	}
	for _, c := range p.commands {
		s.answerCommand(c, err)
	}
	clear(p.batches)
	p.batches = p.batches[:0]
	if err == nil { // a failed one may still be in raft's hands
		s.buffers = append(s.buffers, p.payload)
		p.payload = nil
		s.proposals = append(s.proposals, p)
	}
}

func (s *Shard) newProposal() *proposal {
	if n := len(s.proposals); n > 0 {
		p := s.proposals[n-1]
		p.alone, p.term, p.due = false, 0, 0
		s.proposals = s.proposals[:n-1]
		return p
	}
	return &proposal{}
}

// buffer gives an empty buffer with room for n bytes.
func (s *Shard) buffer(n int) []byte {
	for i := len(s.buffers) - 1; i >= 0; i-- {
		b := s.buffers[i]
		if cap(b) >= n {
			s.buffers = append(s.buffers[:i], s.buffers[i+1:]...)
			return b[:0]
		}
	}
	if len(s.buffers) > inflightMax {
		s.buffers = s.buffers[:0]
	}
	return make([]byte, 0, max(n, 64<<10))
}
