package shard

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
)

// Deed makes a batch depend on state: what a scheduled message becomes when it is due, the end of a transaction, a lease. Its commands
// and messages come into one entry, all or none, and only if what it rests on still holds when that entry is formed. So a record in the log
// is never void, and whoever applies it need not ask whether it is.
type Deed struct {
	// Keys name what it reads and changes. No two deeds with a common key are on their way at once: the later one waits until the earlier
	// one was applied.
	Keys []uint64
	// Holds is called by the loop of the leader when all entries that touch Keys were applied; it must not block. An error refuses the
	// deed. It may still change the batch and the commands, but for Buf. now is the entry's time, µs.
	Holds    func(now int64) error
	Commands []Command
	// Partly has messages left out whose topic was deleted meanwhile. Else such a deed is refused with ErrGone: its record must not say that
	// something became a message that is not there.
	Partly bool
}

// KeyOf makes a key of what a deed reads and changes. Hashes may collide: then one deed waits for another without need.
func KeyOf[T comparable](v T) uint64 { return maphash.Comparable(keySeed, v) }

var keySeed = maphash.MakeSeed()

// Command is what a record of the log says besides messages.
type Command struct {
	Kind entry.Kind
	Body []byte
}

// deedsMax bounds the deeds that wait; more are refused.
const (
	deedsMax      = 100 * commandsMax
	commandHeader = 8 // kind and length of a command in an entry
)

// deeds are those that wait, and what those on their way touch. The loop owns it.
type deeds struct {
	waiting []*Batch
	claimed map[uint64]struct{} // keys of deeds in entries of this term that are not applied
	passed  map[uint64]struct{} // keys of deeds that wait, of one look
	look    bool                // something waits that was not looked at since the last change
}

func (d *deeds) add(batches []*Batch) {
	if len(batches) > 0 {
		d.waiting, d.look = append(d.waiting, batches...), true
	}
}

// free says that nothing on its way touches the keys, and nothing that was passed over in this look.
func (d *deeds) free(keys []uint64) bool {
	for _, k := range keys {
		if _, taken := d.claimed[k]; taken {
			return false
		}
		if _, older := d.passed[k]; older {
			return false
		}
	}
	return true
}

// pass lets a deed wait: those behind it that touch the same wait, too, or one with many keys might wait for ever.
func (d *deeds) pass(keys []uint64) {
	for _, k := range keys {
		d.passed[k] = struct{}{}
	}
}

func (d *deeds) claim(keys []uint64) {
	for _, k := range keys {
		d.claimed[k] = struct{}{}
	}
}

// release is called when an entry was applied or refused.
func (d *deeds) release(keys []uint64) {
	for _, k := range keys {
		delete(d.claimed, k)
	}
	d.look = d.look || len(keys) > 0 && len(d.waiting) > 0
}

// begin forgets what deeds of an earlier term touch: all that is left of them was applied or never will be.
func (d *deeds) begin() {
	clear(d.claimed)
	d.look = len(d.waiting) > 0
}

// bytes is the room that a deed's commands take in an entry.
func (d *Deed) bytes() (n int64) {
	if d == nil {
		return 0
	}
	for _, c := range d.Commands {
		n += commandHeader + int64(len(c.Body))
	}
	return n
}

// refuse answers a deed that does not hold, when it is certain that this member leads: one that was cut off does not know what was decided
// meanwhile, and must not say that something is not there.
func (s *Shard) refuse(b *Batch, why error) {
	if s.opts.Planted.RefuseStale {
		s.answer(b, why)
		return
	}
	s.readers = append(s.readers, func(err error) {
		if err == nil {
			err = why
		}
		s.answer(b, err)
	})
}

// holds says whether a deed may come into the entry at hand.
func (s *Shard) holds(b *Batch, now int64) error {
	if err := b.Deed.Holds(now); err != nil && !b.Deed.begins(s.opts.Planted.Unasked) {
		return err
	}
	if !b.Deed.Partly && !s.opts.Planted.DropGone && slices.ContainsFunc(b.Items, func(it Item) bool { return it.Queue.Dead }) {
		return ErrGone
	}
	return nil
}

// cutDeeds gives an entry the deeds that hold, in their order, up to about EntryBytes; one that waits for another lets those behind it
// pass. What does not hold any more is refused. bytes are those of messages.
func (s *Shard) cutDeeds(p *proposal) (bytes int) {
	kept, n, room := s.deeds.waiting[:0], 0, int64(EntryBytes)
	s.deeds.look = false
	clear(s.deeds.passed)
	for _, b := range s.deeds.waiting {
		full := len(p.batches) > 0 && (n+len(b.Deed.Commands) > commandsMax || room <= 0)
		if full || !s.deeds.free(b.Deed.Keys) {
			kept = append(kept, b)
			s.deeds.pass(b.Deed.Keys)
			s.deeds.look = s.deeds.look || full
			continue
		}
		if err := s.holds(b, p.formed); err != nil {
			s.refuse(b, err)
			continue
		}
		s.opts.Planted.strip(b)
		s.deeds.claim(b.Deed.Keys)
		p.batches, p.keys = append(p.batches, b), append(p.keys, b.Deed.Keys...)
		n, bytes = n+len(b.Deed.Commands), bytes+len(b.Buf)
		room -= int64(len(b.Buf)) + b.Deed.bytes()
	}
	clear(s.deeds.waiting[len(kept):])
	s.deeds.waiting = kept
	return bytes
}

// Decide submits a deed and waits for its end. Nil: it is applied.
func (s *Shard) Decide(ctx context.Context, b *Batch) error {
	done := make(chan error, 1)
	b.Done = func(b *Batch) { done <- b.Err }
	s.Submit(b)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	}
}
