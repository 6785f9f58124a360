package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/timer"
)

// Limits.
const (
	EntryBytes   = 1 << 20   // messages of one entry, about
	PendingBytes = 256 << 20 // messages waiting to be proposed or committed; more are refused
	inflightMax  = 8         // entries proposed and not applied
	commandsMax  = 1000      // of one entry
	CommandMax   = 1 << 20   // bytes of one command, and about of all commands of one entry
	offsetsMax   = 2000      // offset commits of one entry
	heardMax     = 64 << 20  // bytes of other members' messages that wait; more are dropped, and told again
)

// Errors that answer a Batch or a command.
var (
	ErrBusy      = errors.New("too much is waiting to be stored")
	ErrNoSpace   = errors.New("no space left for the log")
	ErrBehind    = errors.New("the indexes of too many segments could not be written, see the broker's log")
	ErrGone      = errors.New("the topic was deleted meanwhile")
	ErrTooLarge  = errors.New("more than one entry of the log may hold")
	ErrNotLeader = errors.New("this member does not lead the broker group")
	ErrUncertain = errors.New("the leader changed or stopped while it was stored: it may be stored or not")
	ErrStopped   = errors.New("the broker is stopping")
)

// Producer is one producer group of one connection. The loop owns its unexported part.
type Producer struct {
	entry.Producer
	definedIn uint64 // segment in which the ref was defined last
	term      uint64 // in which it was: a definition that was on its way when its leader was voted out may be gone
	formed    uint64 // the entry in which it was, as the loop counts them
}

// Batch is messages to be stored and answered together. After Submit it belongs to the shard until Done is called.
type Batch struct {
	Buf   []byte // stored messages, encoded with message.Append
	Items []Item
	Deed  *Deed // what it rests on; nil: nothing
	Err   error // why nothing was stored
	Done  func(*Batch)
}

// Item is one message of a batch.
type Item struct {
	From, To       int // in Buf
	Queue          *queue.Queue
	Producer       *Producer
	ReceivedMicros int64
	Due            int64 // ms, when a message that is parked is due; 0: it is not. The shard may raise it.
	DueAt          int   // where the due time's digits are in the message; Put knows
	Offset         int64 // given by the shard
	Position       int64 // given by the shard
	Gone           bool  // set by the shard: the topic was deleted meanwhile
	next           int32
	bytes          []byte
}

// Put appends a message. A message that is parked (it.Due) has its due time as its last property.
func (b *Batch) Put(it Item, d *message.Draft) { b.Items = append(b.Items, b.append(it, d)) }

// append puts a message into Buf and gives its item, which is not in Items.
func (b *Batch) append(it Item, d *message.Draft) Item {
	it.From = len(b.Buf)
	b.Buf = message.Append(b.Buf, d)
	if it.To = len(b.Buf); it.Due != 0 {
		it.DueAt = it.To - it.From - timer.DueDigits - 1 // behind the digits stands the property's end
	}
	return it
}

type command struct {
	kind entry.Kind
	body []byte
	done chan error
}

// inbox is what other goroutines hand to the loop.
type inbox struct {
	mu       sync.Mutex
	batches  []*Batch
	deeds    []*Batch
	bytes    int // of batches here and in the loop's hands
	commands []command
	messages []*pb.Message
	asides   []aside
	readers  []func(error)
	damage   error // that somebody found in the log
	undone   int   // deeds that are not answered
	heard    int   // bytes of messages and asides
	dropped  int   // for want of room
	closed   bool
	wake     chan struct{}
}

// Submit hands b over; b.Done is called exactly once, perhaps at once.
func (s *Shard) Submit(b *Batch) {
	in := &s.inbox
	in.mu.Lock()
	switch {
	case in.closed:
		b.Err = ErrStopped
	case in.bytes > PendingBytes || b.Deed != nil && in.undone >= deedsMax:
		b.Err = ErrBusy
	default:
		in.bytes += len(b.Buf)
		list := &in.batches
		if b.Deed != nil {
			list = &in.deeds
			in.undone++
		}
		*list = append(*list, b)
		first := len(*list) == 1
		in.mu.Unlock()
		if first {
			in.kick()
		}
		return
	}
	in.mu.Unlock()
	b.Done(b)
}

func (in *inbox) kick() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// Pending is how many bytes of messages wait.
func (s *Shard) Pending() int {
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	return s.inbox.bytes
}

// Do proposes a command and waits until it is applied.
func (s *Shard) Do(ctx context.Context, kind entry.Kind, body []byte) error {
	if len(body) > CommandMax {
		return fmt.Errorf("a command of %d bytes, the limit is %d: %w", len(body), CommandMax, ErrTooLarge)
	}
	return s.do(ctx, command{kind, body, make(chan error, 1)})
}

func (s *Shard) do(ctx context.Context, c command) error {
	in := &s.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return ErrStopped
	}
	if len(in.commands) >= 100*commandsMax {
		in.mu.Unlock()
		return ErrBusy
	}
	s.noteCommand(c)
	in.commands = append(in.commands, c)
	in.mu.Unlock()
	in.kick()
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NoteOffset takes a consumer's commit; it is proposed soon, with others.
func (s *Shard) NoteOffset(o *entry.Offset) {
	if s.offsets.Note(o) && !s.offsetsDue.Swap(true) {
		s.inbox.kick()
	}
}

// take moves what came in to the loop's side.
func (s *Shard) take() {
	in := &s.inbox
	in.mu.Lock()
	s.pending = append(s.pending, in.batches...)
	clear(in.batches)
	in.batches = in.batches[:0]
	s.deeds.add(in.deeds)
	clear(in.deeds)
	in.deeds = in.deeds[:0]
	for _, c := range in.commands {
		if c.kind == kindMembers {
			s.changes = append(s.changes, c)
		} else {
			s.commands = append(s.commands, c)
		}
	}
	clear(in.commands)
	in.commands = in.commands[:0]
	s.messages = append(s.messages, in.messages...)
	clear(in.messages)
	in.messages = in.messages[:0]
	s.asides = append(s.asides, in.asides...)
	clear(in.asides)
	in.asides, in.heard = in.asides[:0], 0
	s.readers = append(s.readers, in.readers...)
	clear(in.readers)
	in.readers = in.readers[:0]
	if in.damage != nil { // a follower takes more while it waits for its disk: what was taken before is kept until it was looked at
		s.damage, in.damage = in.damage, nil
	}
	in.mu.Unlock()
}

func (s *Shard) answered(b *Batch) {
	s.inbox.mu.Lock()
	s.inbox.bytes -= len(b.Buf)
	if b.Deed != nil {
		s.inbox.undone--
	}
	s.inbox.mu.Unlock()
}
