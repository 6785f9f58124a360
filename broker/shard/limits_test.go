package shard

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// On a full disk commits that wait must not keep the loop from everything else: it answers, and it can be stopped.
func TestFullDiskWithOffsetsWaiting(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(4, 4))
	fs.Capacity = 1
	submit := func() error {
		ch := make(chan error, 1)
		s.Submit(batch(topic, nil, 1, rng, func(b *Batch) { ch <- b.Err }))
		select {
		case err := <-ch:
			return err
		case <-time.After(5 * time.Second):
			t.Fatal("a send is not answered")
			return nil
		}
	}
	for deadline := time.Now().Add(20 * time.Second); !errors.Is(submit(), ErrNoSpace); {
		if time.Now().After(deadline) {
			t.Fatal("the disk does not fill")
		}
	}
	for i := range int64(8) { // the first ones may still find room
		s.NoteOffset(&entry.Offset{Group: "g", Topic: "orders", Offset: i, AtMicros: 1, Client: strings.Repeat("c", 100)})
		time.Sleep(offsetsEvery + TickEvery)
	}
	if err := submit(); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("answered %v", err)
	}
	fs.Capacity = 0
	for deadline := time.Now().Add(10 * time.Second); submit() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("sends do not work again when there is space")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs)
	defer s.Close()
	if at := s.offsets.Save(); len(at) != 1 || at[0].Offset != 7 {
		t.Fatalf("offsets after a full disk: %v", at)
	}
}

// What is longer than an entry may be is refused; it does not stop the log.
func TestTooMuchForOneEntryIsRefused(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	g := catalog.NewGroup("g")
	g.Attributes = map[string]string{"a": strings.Repeat("x", 33<<20)}
	body, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(context.Background(), entry.KindGroupPut, body); err == nil {
		t.Error("a command of 33 MiB was taken")
	}
	if err := s.Failed(); err != nil {
		t.Fatalf("the log failed: %v", err)
	}
	topic := putTopic(t, s, "orders")
	b := &Batch{}
	for i := range 40 {
		from := len(b.Buf)
		b.Buf = message.Append(b.Buf, &message.Draft{Topic: []byte("orders"), Body: make([]byte, 1<<20), BornHost: host, StoreHost: host})
		b.Items = append(b.Items, Item{From: from, To: len(b.Buf), Queue: topic.Queue(int32(i % 4))})
	}
	ch := make(chan error, 1)
	b.Done = func(b *Batch) { ch <- b.Err }
	s.Submit(b)
	if err := <-ch; err == nil {
		t.Error("a batch of 40 MiB was taken")
	}
	if err := s.Failed(); err != nil {
		t.Fatalf("the log failed: %v", err)
	}
	send(t, s, batch(topic, nil, 20, rand.New(rand.NewPCG(1, 1)), nil))
	checkQueues(t, s, topic)
}

// Near a segment's end a producer is defined once in an entry, not with each of its messages.
func TestProducerIsDefinedOnceInAnEntry(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(6, 6))
	p := &Producer{Producer: entry.Producer{Ref: s.NewRef(), Group: "g", Addr: "1.2.3.4:5"}}
	for range 20 {
		send(t, s, batch(topic, p, 30, rng, nil))
	}
	most := 0
	for next := s.First(); next <= s.Committed(); {
		var err error
		next, err = s.Read(next, 1<<20, func(r entry.Record) error {
			b, err := entry.Decode(r.Data)
			if err != nil {
				return err
			}
			n := 0
			if err := b.Commands(func(k entry.Kind, _ []byte) error {
				if k == entry.KindProducer {
					n++
				}
				return nil
			}); err != nil {
				return err
			}
			most = max(most, n)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if most != 1 {
		t.Fatalf("a producer is defined %d times in one entry", most)
	}
}

// While no sidecar can be written, sends are refused before the loop would wait for the sealer, and work again afterwards.
func TestSealsThatFailRefuseSends(t *testing.T) {
	var fail atomic.Bool
	s := open(t, &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if fail.Load() && op == vfs.OpCreate && strings.Contains(name, ".idx") {
			return vfs.ErrNoSpace
		}
		return nil
	}})
	defer s.Close()
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(7, 7))
	submit := func() error {
		ch := make(chan error, 1)
		s.Submit(batch(topic, nil, 20, rng, func(b *Batch) { ch <- b.Err }))
		select {
		case err := <-ch:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("a send is not answered")
			return nil
		}
	}
	fail.Store(true)
	for !errors.Is(submit(), ErrBehind) {
		if n := len(s.Log().Segments()); n > cap(s.seals)+2 {
			t.Fatalf("%d segments and no refusal", n)
		}
	}
	fail.Store(false)
	for deadline := time.Now().Add(20 * time.Second); submit() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("sends are refused for ever")
		}
	}
}
