package shard

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/entry"
)

// Stepper is a shard without goroutines: a simulator says what happens when. What the goroutines of a Shard do is what the
// methods here do. Options.Now must be set. After a step, Turn must be called.
type Stepper struct{ *Shard }

// OpenStepped recovers the state.
func OpenStepped(o Options) (Stepper, error) {
	o.stepped = true
	s, err := openState(o)
	return Stepper{s}, err
}

// Tick is raft's clock, every TickEvery.
func (s Stepper) Tick(now time.Time) { s.fail(s.tick(now)) }

// Turn takes what was submitted and received and does what can be done without a sync.
func (s Stepper) Turn() { s.turn() }

// Syncing says that a sync is under way; EndSync makes its bytes durable and tells who waits for it.
func (s Stepper) Syncing() bool { return s.syncing != nil }

// EndSync ends the sync that is under way.
func (s Stepper) EndSync() {
	y := s.syncing
	y.Run()
	s.fail(s.endSync(y))
}

// Seals says whether a segment's sidecar and checkpoint are to be written; Seal writes them and says whether that worked.
func (s Stepper) Seals() bool { return len(s.seals) > 0 || s.sealLater != nil }

// Seal writes the oldest.
func (s Stepper) Seal() bool {
	if s.sealLater == nil {
		job := <-s.seals
		s.sealLater = &job
	}
	if s.seal(*s.sealLater) != nil {
		return false
	}
	s.sealLater = nil
	return true
}

// Checks says whether a snapshot that came is to be checked; Check does it.
func (s Stepper) Checks() bool { return len(s.checks) > 0 }

// Check checks it.
func (s Stepper) Check() {
	k := <-s.checks
	k.run(s.Shard)
	s.fail(s.endCheck(k))
}

// Fires says whether messages are due and to be stored again; Fire reads them and submits that.
func (s Stepper) Fires() bool { return len(s.firing.later) > 0 }

// Fire submits what was found to be due, which may be over by then.
func (s Stepper) Fire() {
	jobs := s.firing.later
	s.firing.later = nil
	s.fireStep(jobs)
}

// Rolls says whether retention wants parked messages to be stored again; Roll reads the next of them and submits that.
func (s Stepper) Rolls() bool { return s.rolling.later != nil }

// Roll submits what is pending where retention wants it away.
func (s Stepper) Roll() {
	job := s.rolling.later
	s.rolling.later = nil
	s.rollNow(job)
}

// Scrub checks the next sealed segment.
func (s Stepper) Scrub() { s.scrub() }

// Command proposes a command; done gets its outcome.
func (s Stepper) Command(kind entry.Kind, body []byte) (done <-chan error) {
	c := command{kind, body, make(chan error, 1)}
	s.noteCommand(c)
	s.inbox.commands = append(s.inbox.commands, c)
	return c.done
}

// ChangeMembers proposes a change of members.
func (s Stepper) ChangeMembers(body []byte) (done <-chan error) { return s.Command(kindMembers, body) }

// Barrier is Shard.Barrier without waiting.
func (s Stepper) Barrier() (done <-chan error) {
	c := make(chan error, 1)
	s.inbox.readers = append(s.inbox.readers, func(err error) { c <- err })
	return c
}

// CancelTimer is what Shard.CancelTimer submits after its barrier; timer.ErrCancelled: it is to be asked for again.
func (s Stepper) CancelTimer(topic, uniqKey string, due int64) (*Batch, error) {
	return s.cancelDeed(topic, uniqKey, due, "")
}

// Step takes a message as Receive does.
func (s Stepper) Step(m *pb.Message) { s.Receive(m) }

// Held is what waits in memory.
type Held struct {
	Bytes, Heard                                             int // bytes of messages to store, and of what other members said
	Pending, Inflight, Commands, Readers, Buffers, Proposals int
	Asides, Messages, Needs, Timed                           int // timed: entries of timers that were found to be due or to be rolled
}

// Held may be asked between two steps.
func (s Stepper) Held() Held {
	in := &s.inbox
	return Held{
		in.bytes, in.heard, len(s.pending) + len(in.batches) + len(s.deeds.waiting) + len(in.deeds), len(s.inflight), len(s.commands) + len(in.commands) + len(s.changes),
		len(s.readers) + len(in.readers) + len(s.reading.waiting), len(s.buffers), len(s.proposals), len(in.asides), len(in.messages), len(s.needs), len(s.firing.entries) + len(s.rolling.found),
	}
}

// Repairing says that the member lost its log and has not got back yet what it had.
func (s Stepper) Repairing() bool { return s.promise != nil }

// Founded says that the member takes part in its group.
func (s Stepper) Founded() bool { return s.founded() }

// Limits of Held.
const (
	HeldBytes = PendingBytes
	HeldHeard = heardMax
	HeldItems = 100 * commandsMax
)
