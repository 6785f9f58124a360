package service

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A batch whose messages take more room in the log than in the request is refused before it is more than an entry may hold.
func TestBatchOfVeryManyIsRefused(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	empty := make([]byte, 22)
	empty[3] = 22
	c, h := NewClient(addr, "remoting"), header(strings.Repeat("o", 60), "x", 0)
	h.Batch = true
	if r := send(t, s, c, h, strings.Repeat(string(empty), (4<<20)/22)); r.Code != CodeMessageIllegal || !strings.Contains(r.Remark, "16384") {
		t.Errorf("code %d: %s", r.Code, r.Remark)
	}
	if err := s.Shard().Failed(); err != nil {
		t.Fatal(err)
	}
	h.Batch, h.ProducerGroup = false, []byte(strings.Repeat("p", GroupMax+1))
	if r := send(t, s, c, h, "x"); r.Code != CodeInvalidParameter || !strings.Contains(r.Remark, "256 bytes, the limit is 255") {
		t.Errorf("a long producer group: code %d: %s", r.Code, r.Remark)
	}
}

func TestGroupsRetryQueuesAreBounded(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	for _, n := range []int32{-1, QueuesMax + 1, 1<<31 - 1} {
		g := catalog.NewGroup("g")
		g.RetryQueues = n
		if err := s.PutGroup(context.Background(), g); err == nil || err.Code != CodeInvalidParameter || !strings.Contains(err.Text, fmt.Sprint(n)) {
			t.Errorf("%d retry queues: %v", n, err)
		}
	}
	g := catalog.NewGroup("g")
	g.Attributes = map[string]string{"a": strings.Repeat("x", 2<<20)}
	if err := s.PutGroup(context.Background(), g); err == nil || err.Code != CodeMessageIllegal {
		t.Errorf("settings of 2 MiB: %v", err)
	}
}

// Java passes over a piece without a name's end; who reads otherwise is told another name than the consumer.
func TestPropertiesCannotBeHidden(t *testing.T) {
	s := &Service{}
	for _, run := range []string{"x\x02POP_CK\x011\x02", "\x02DELAY\x013\x02", "a\x01b\x02x\x02y\x02TIMER_DEL_UNIQKEY\x01k"} {
		if a, err := s.readProperties([]byte(run), 0); err != nil || !a.timed() && !a.foreign {
			t.Errorf("%q: %+v %v", run, a, err)
		}
	}
	if v := message.Property([]byte("x\x02TAGS\x01A\x02"), message.PropTags); string(v) != "A" {
		t.Errorf("TAGS reads as %q", v)
	}
}

// While topics are not made, what waits for them is bounded.
func TestMessagesForNewTopicsAreBounded(t *testing.T) {
	var slow atomic.Bool
	fs := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, _ string) error {
		for op == vfs.OpSync && slow.Load() {
			time.Sleep(time.Millisecond)
		}
		return nil
	}}
	s := open(t, fs, "log")
	defer s.Close()
	defer slow.Store(false)
	slow.Store(true)
	c, busy, answered := NewClient(addr, "remoting"), atomic.Int64{}, atomic.Int64{}
	const sent = 100
	for i := range sent {
		p := s.Parcel(c)
		p.Add(header(fmt.Sprint("new", i), "x", 0), make([]byte, 1<<20), Token{})
		p.Submit(func(p *Parcel) {
			if p.Results[0].Code == CodeSystemBusy {
				busy.Add(1)
			}
			answered.Add(1)
			p.Release()
		})
	}
	if n := busy.Load(); n < sent-lateBytes>>20 || n == sent {
		t.Errorf("%d of %d refused with 1 MiB each", n, sent)
	}
	slow.Store(false)
	for deadline := time.Now().Add(20 * time.Second); answered.Load() < sent; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d were answered", answered.Load(), sent)
		}
	}
	if n, bytes := s.late.Load(), s.lateBytes.Load(); n != 0 || bytes != 0 {
		t.Errorf("%d requests of %d bytes are still counted", n, bytes)
	}
}

// A pull that is held when the service closes is answered, and one that comes later.
func TestCloseAnswersHeldPulls(t *testing.T) {
	for range 20 {
		s := open(t, vfs.NewMem(), "log")
		c := NewClient(addr, "remoting")
		ok(t, send(t, s, c, header("orders", "x", 0), "m"))
		answers := make(chan *PullResult, 2)
		req := PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 1, SysFlag: PullSuspend, SuspendMillis: 60_000}
		s.Pull(&req, func(r *PullResult) { answers <- r })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		late := req
		s.Pull(&late, func(r *PullResult) { answers <- r })
		for range 2 {
			select {
			case r := <-answers:
				if r.Code != CodePullNotFound {
					t.Errorf("%+v", r)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("a pull is never answered")
			}
		}
	}
}
