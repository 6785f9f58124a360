package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

func open(t testing.TB, fs vfs.FS) *Shard {
	t.Helper()
	s, err := Open(context.Background(), Options{
		FS: fs, Dir: "data", ID: 1, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func putTopic(t testing.TB, s *Shard, name string) *queue.Topic {
	t.Helper()
	body, err := json.Marshal(catalog.NewTopic(name, 4))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(context.Background(), entry.KindTopicPut, body); err != nil {
		t.Fatal(err)
	}
	e, _ := s.Catalog().Topic(name)
	return s.Index().Topic(name, e.CreatedPos)
}

var host = netip.MustParseAddrPort("10.1.2.3:10911")

// batch is n messages for random queues of a topic.
func batch(t *queue.Topic, p *Producer, n int, rng *rand.Rand, done func(*Batch)) *Batch {
	b := &Batch{Done: done}
	for i := range n {
		from, id := len(b.Buf), rng.Int32N(4)
		props := message.AppendProperty(nil, message.PropTags, fmt.Sprintf("tag%d", i%3))
		props = message.AppendProperty(props, message.PropKeys, fmt.Sprintf("key%d common", rng.IntN(1000)))
		b.Buf = message.Append(b.Buf, &message.Draft{
			Topic: []byte(t.Name), Body: make([]byte, rng.IntN(300)), Properties: props, QueueID: id, BornHost: host, StoreHost: host,
		})
		b.Items = append(b.Items, Item{From: from, To: len(b.Buf), Queue: t.Queue(id), Producer: p})
	}
	return b
}

// send submits and waits.
func send(t testing.TB, s *Shard, b *Batch) {
	t.Helper()
	ch := make(chan struct{})
	b.Done = func(*Batch) { close(ch) }
	s.Submit(b)
	<-ch
	if b.Err != nil {
		t.Fatal(b.Err)
	}
}

// checkQueues reads every row of a topic: dense offsets, each row's message says its own place.
func checkQueues(t testing.TB, s *Shard, topic *queue.Topic) (total int64) {
	t.Helper()
	for _, q := range topic.Queues() {
		from, end, _ := q.Bounds()
		for off := from; off < end; {
			rows, err := q.Rows(nil, off, 7)
			if err != nil || len(rows) == 0 {
				t.Fatalf("rows of %s/%d at %d: %d %v", q.Topic, q.ID, off, len(rows), err)
			}
			for _, r := range rows {
				raw, err := s.Message(nil, r.Pos, int(r.Size))
				if err != nil {
					t.Fatal(err)
				}
				v, err := message.Parse(raw)
				if err != nil || v.QueueOffset() != off || v.Position() != r.Pos || v.QueueID() != q.ID || string(v.Topic()) != q.Topic {
					t.Fatalf("%s/%d offset %d: %v, message says %s/%d %d at %d", q.Topic, q.ID, off, err, v.Topic(), v.QueueID(), v.QueueOffset(), v.Position())
				}
				off++
			}
		}
		total += end - from
	}
	return total
}

func TestStoredMessagesAreFoundAgain(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(1, 1))
	p := &Producer{Producer: entry.Producer{Ref: s.NewRef(), Group: "g", Addr: "1.2.3.4:5"}}
	for range 60 { // several segments
		send(t, s, batch(topic, p, 20, rng, nil))
	}
	if n := checkQueues(t, s, topic); n != 1200 {
		t.Fatalf("%d messages, 1200 were sent", n)
	}
	if segs := len(s.Log().Segments()); segs < 3 {
		t.Fatalf("%d segments: the test shows too little", segs)
	}
	found := 0
	err := s.Index().Find("orders", "common", 5000, func(int64) (bool, bool) { found++; return true, true })
	if err != nil || found != 1200 {
		t.Fatalf("key finds %d messages: %v", found, err)
	}
}

// TestCrashes kills the machine again and again while messages, offsets and topics come: nothing acknowledged is lost.
func TestCrashes(t *testing.T) {
	for seed := range uint64(6) {
		crashes(t, rand.New(rand.NewPCG(seed, 5)))
	}
}

func crashes(t *testing.T, rng *rand.Rand) {
	fs, acked, commits := vfs.NewMem(), int64(0), int64(0)
	for round := range 8 {
		s := open(t, fs)
		topic := putTopic(t, s, "orders")
		if n := checkQueues(t, s, topic); n < acked {
			t.Fatalf("round %d: %d messages, %d were acknowledged", round, n, acked)
		}
		if c, _ := s.Offsets().Get(offset.Key{Group: "g", Topic: "orders", QueueID: 1}); c.Offset < commits {
			t.Fatalf("round %d: offset %d, %d was committed", round, c.Offset, commits)
		}
		p := &Producer{Producer: entry.Producer{Ref: s.NewRef(), Group: "g"}}
		for range 5 + rng.IntN(20) {
			b := batch(topic, p, 1+rng.IntN(30), rng, nil)
			send(t, s, b)
			acked += int64(len(b.Items))
		}
		commits++
		body := entry.AppendOffset(nil, &entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: commits, AtMicros: commits})
		if err := s.Do(context.Background(), entry.KindOffsets, body); err != nil {
			t.Fatal(err)
		}
		s.Submit(batch(topic, p, 3, rng, func(*Batch) {})) // on its way when the power goes
		fs = fs.Crash(rng)
		_ = s.Close()
		acked = min(acked, acked)
	}
}

func TestLostSidecarsAreMadeAgain(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(2, 2))
	for range 80 {
		send(t, s, batch(topic, nil, 20, rng, nil))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, n := range fs.Names("data") {
		if strings.HasSuffix(n, ".idx") {
			removed++
			if err := fs.Remove(filepath.Join("data", filepath.Base(n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = open(t, fs)
	defer s.Close()
	e, _ := s.Catalog().Topic("orders")
	if n := checkQueues(t, s, s.Index().Topic("orders", e.CreatedPos)); n != 1600 || removed == 0 {
		t.Fatalf("%d messages after %d sidecars were lost", n, removed)
	}
}

// A seal is told with its segment, also one that failed and is tried again.
func TestSealsAreTold(t *testing.T) {
	var refused atomic.Bool
	fault := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpCreate && strings.Contains(name, ".idx") && !refused.Swap(true) {
			return errors.New("no")
		}
		return nil
	}}
	var mu sync.Mutex
	done, failed := map[uint64]int{}, map[uint64]int{}
	s, err := Open(context.Background(), Options{
		FS: fault, Dir: "data", ID: 1, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler),
		Sealed: func(began time.Time, segment uint64, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[segment]++
			} else {
				done[segment]++
			}
			if since := time.Since(began); since < 0 || since > time.Minute {
				t.Errorf("segment %d took %v", segment, since)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(2, 2))
	for range 80 {
		send(t, s, batch(topic, nil, 20, rng, nil))
	}
	for deadline := time.Now().Add(20 * time.Second); s.sealedSeq.Load() < 2 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sealed := s.sealedSeq.Load()
	for seq := uint64(1); seq <= sealed; seq++ {
		if done[seq] != 1 {
			t.Errorf("segment %d was told %d times", seq, done[seq])
		}
	}
	if sealed < 2 || len(failed) != 1 || failed[1] != 1 {
		t.Errorf("%d sealed, failures %v", sealed, failed)
	}
}

func TestDeletedTopicDoesNotComeBack(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	rng := rand.New(rand.NewPCG(3, 3))
	send(t, s, batch(putTopic(t, s, "orders"), nil, 50, rng, nil))
	if err := s.Do(context.Background(), entry.KindTopicDelete, []byte("orders")); err != nil {
		t.Fatal(err)
	}
	again := putTopic(t, s, "orders")
	if n := checkQueues(t, s, again); n != 0 {
		t.Fatalf("the new topic has %d old messages", n)
	}
	for range 60 {
		send(t, s, batch(again, nil, 20, rng, nil))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs)
	defer s.Close()
	e, _ := s.Catalog().Topic("orders")
	if n := checkQueues(t, s, s.Index().Topic("orders", e.CreatedPos)); n != 1200 {
		t.Fatalf("%d messages after a restart, 1200 belong to the topic", n)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	fs := vfs.NewMem()
	fs.Capacity = 3 * seglog.SegmentBytesMin
	s := open(t, fs)
	defer s.Close()
	topic, rng := putTopic(t, s, "orders"), rand.New(rand.NewPCG(4, 4))
	var refused error
	for range 200 {
		ch := make(chan struct{})
		b := batch(topic, nil, 10, rng, func(*Batch) { close(ch) })
		s.Submit(b)
		if <-ch; b.Err != nil {
			refused = b.Err
			break
		}
	}
	if refused != ErrNoSpace || s.Failed() != nil {
		t.Fatalf("a full disk gave %v; the log: %v", refused, s.Failed())
	}
	stored := checkQueues(t, s, topic)
	if stored == 0 {
		t.Fatal("nothing was stored before the disk was full")
	}
}

func TestLastOffsetsAreStoredAtClose(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	putTopic(t, s, "orders")
	s.NoteOffset(&entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: 7, AtMicros: 1})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs)
	defer s.Close()
	if c, ok := s.Offsets().Get(offset.Key{Group: "g", Topic: "orders", QueueID: 1}); !ok || c.Offset != 7 {
		t.Fatalf("offset %d after an orderly stop, 7 was committed", c.Offset)
	}
}
