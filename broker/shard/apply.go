package shard

import (
	"bytes"
	"fmt"
	"math"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/txn"
)

// apply changes the state as a committed entry says, then answers who waits for it.
func (s *Shard) apply(c consensus.Committed) error {
	if err := s.enter(c.Index); err != nil {
		return err
	}
	switch c.Type {
	case pb.EntryNormal:
		if err := s.applyPayload(c); err != nil {
			return err
		}
	case pb.EntryConfChange, pb.EntryConfChangeV2:
		if err := s.applyMembers(c); err != nil {
			return err
		}
	}
	s.counters.Entries.Add(1)
	s.applied.Store(c.Index)
	s.appliedTerm = c.Term
	s.wakeReaders()
	if leads, term := s.node.Leader(); leads && c.Term == term && s.leaderTerm != term {
		s.startLeading(term)
	}
	s.changed(c)
	s.leaveJoint()
	s.decide(c)
	if n := len(s.inflight); n > 0 && s.inflight[0].index == c.Index {
		p := s.inflight[0]
		s.inflight = append(s.inflight[:0], s.inflight[1:]...)
		if p.term == c.Term {
			s.complete(p)
		} else { // voted out and in again within one step: another entry took its place
			s.finish(p, ErrNotLeader)
		}
	}
	return nil
}

func (s *Shard) complete(p *proposal) {
	formed, index, told := p.formed, p.index, s.opts.Times != nil && len(p.batches) > 0
	var committed int64
	if told {
		committed = s.opts.Now().UnixMicro()
	}
	s.finish(p, nil)
	if told {
		synced := s.syncedAt
		if !s.opts.Durable {
			synced = 0
		}
		s.opts.Times(index, formed, synced, committed, s.opts.Now().UnixMicro(), s.slowest())
	}
}

// slowest is the voter that has the least of the log, as far as the leader knows now.
func (s *Shard) slowest() (id uint64) {
	if s.alone() {
		return 0
	}
	least := uint64(math.MaxUint64)
	s.node.Progress(func(member uint64, p tracker.Progress) {
		if !p.IsLearner && p.Match < least {
			id, least = member, p.Match
		}
	})
	return id
}

// enter notices that an entry lies in a later segment than the one before: that one is whole now, its sidecar and the
// checkpoint are written.
func (s *Shard) enter(index uint64) error {
	seq, err := s.log.SeqOf(index)
	if err != nil {
		return fmt.Errorf("segment of entry %d: %w", index, err)
	}
	if s.writer.Seq() == seq {
		return nil
	}
	if old := s.writer.Seq(); old != 0 {
		s.writer.SetTimers(s.timers.Open(old))
		if err := s.sealSoon(sealJob{old, s.checkpoint(old), s.life}); err != nil {
			return err
		}
	}
	s.writer = s.index.Writer(seq)
	return nil
}

// sealSoon hands a job to the sealer. Who catches up on many segments at once waits for it; a simulator has nobody to wait for.
func (s *Shard) sealSoon(job sealJob) error {
	if s.opts.stepped && len(s.seals) == cap(s.seals) && !(Stepper{s}).Seal() {
		return ErrBehind
	}
	s.seals <- job
	return nil
}

func (s *Shard) applyPayload(c consensus.Committed) error {
	b, err := entry.Decode(c.Data)
	if err != nil {
		return err
	}
	s.appliedMicros = max(s.appliedMicros, b.NowMicros)
	if b.NowMicros != 0 {
		s.born.CompareAndSwap(0, b.NowMicros)
	}
	s.lastMicros = max(s.lastMicros, b.NowMicros)
	if err := b.Commands(func(k entry.Kind, body []byte) error { return s.applyCommand(k, body, c.Pos) }); err != nil {
		return err
	}
	a := applier{s: s, dataPos: c.Pos + seglog.RecordHeaderSize}
	err = b.Messages(a.message)
	a.flush()
	return err
}

// applyCommand: what cannot be understood is an error that stops the member, because others might understand it.
func (s *Shard) applyCommand(k entry.Kind, body []byte, pos int64) error {
	switch k {
	case entry.KindProducer:
		return nil
	case entry.KindOffsets, entry.KindOffsetReset:
		return entry.DecodeOffsets(body, func(o *entry.Offset) error { s.commit(k, o); return nil })
	case entry.KindQueueLocks:
		return s.locks.Apply(body)
	case entry.KindTimerFire, entry.KindTimerCancel, entry.KindTimerRoll:
		return s.applyTimer(k, body)
	case entry.KindTxnEnd, entry.KindTxnCheck:
		return s.applyTxn(k, body)
	case entry.KindPopLease, entry.KindPopAck, entry.KindPopChange, entry.KindPopRevive, entry.KindSentBack:
		return s.applyDelivery(k, body)
	case entry.KindTopicPut:
		e, err := s.catalog.PutTopic(body, pos)
		if err == nil {
			s.index.Topic(e.Name, e.CreatedPos)
		}
		return err
	case entry.KindTopicDelete:
		s.deleteTopic(string(body))
		return nil
	case entry.KindGroupPut:
		_, err := s.catalog.PutGroup(body)
		return err
	case entry.KindGroupDelete:
		s.catalog.DeleteGroup(string(body))
		s.offsets.DropGroup(string(body))
		s.deliveries.DropGroup(string(body))
		return nil
	}
	return fmt.Errorf("entry has command %d, which this version does not know", k)
}

func (s *Shard) deleteTopic(name string) {
	if e, ok := s.catalog.Topic(name); ok {
		s.index.Topic(name, e.CreatedPos).Kill()
	}
	if name == txn.HalfTopic { // its offsets begin anew
		s.txn.Reset()
	}
	s.catalog.DeleteTopic(name)
	s.index.DropTopic(name)
	s.offsets.DropTopic(name)
	s.deliveries.DropTopic(name)
}

// applier puts the messages of one entry into the index; messages of one queue come together.
type applier struct {
	s       *Shard
	dataPos int64
	topic   *queue.Topic
	queue   *queue.Queue
	parks   bool // the topic is one in which messages are parked
	halves  bool // the topic is that of half messages
}

func (a *applier) message(at int, v message.View, _ entry.Origin) error {
	if !a.find(v) {
		return nil // its topic was deleted while it was on its way
	}
	pos := a.dataPos + int64(at)
	if v.Position() != pos {
		return fmt.Errorf("message of %s says position %d and stands at %d", v.Topic(), v.Position(), pos)
	}
	row := queue.Row{Pos: pos, Size: uint32(len(v)), Millis: v.StoreTime(), TagHash: keys(&a.s.writer, a.topic, v, pos)}
	a.topic.Messages.Add(1)
	a.topic.Bytes.Add(int64(len(v)))
	a.topic.Sizes.Add(int64(len(v)))
	a.s.counters.Messages.Add(1)
	a.s.counters.Bytes.Add(int64(len(v)))
	if a.parks {
		if err := a.s.park(v, pos); err != nil {
			return err
		}
	}
	if a.halves {
		if err := a.s.openTxn(v); err != nil {
			return err
		}
	}
	return a.s.writer.Add(a.queue, v.QueueOffset(), row)
}

// find makes a.queue the message's.
func (a *applier) find(v message.View) bool {
	topic, id := v.Topic(), v.QueueID()
	if a.queue != nil && a.queue.ID == id && string(topic) == a.queue.Topic {
		return true
	}
	a.flush()
	a.topic, a.queue = nil, nil
	e, ok := a.s.catalog.Topic(string(topic))
	if !ok {
		return false
	}
	a.topic = a.s.index.Topic(e.Name, e.CreatedPos)
	a.queue, a.parks, a.halves = a.topic.Queue(id), timer.Parks(e.Name), e.Name == txn.HalfTopic
	return true
}

// flush tells who waits for the queue.
func (a *applier) flush() {
	if a.queue != nil && a.s.opts.Stored != nil && a.queue.Waiters.Load() > 0 {
		a.s.opts.Stored(a.queue)
	}
}

// keys indexes UNIQ_KEY and KEYS, and gives the tag hash: one walk over the properties.
func keys(w *queue.Writer, t *queue.Topic, v message.View, pos int64) (tagHash int32) {
	run := v.Properties()
	for {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			return tagHash
		}
		switch run = rest; string(name) {
		case message.PropTags:
			tagHash = message.TagHash(value)
		case message.PropUniqKey, message.PropResentFrom:
			w.AddKey(t, value, pos)
		case message.PropKeys:
			for len(value) > 0 {
				var key []byte
				key, value, _ = bytes.Cut(value, []byte{' '})
				if len(key) > 0 {
					w.AddKey(t, key, pos)
				}
			}
		}
	}
}
