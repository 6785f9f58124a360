package service

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/vfs"
)

// What a group was handed is told with its topic, exactly; looking without a group is nobody's.
func TestOutIsCountedPerTopicAndGroup(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for range 3 {
		ok(t, send(t, s, c, header("orders", "x", 0), "m"))
	}
	ok(t, send(t, s, c, header("bills", "x", 0), "m"))
	pull := func(topic, group string, most int32, peek bool) int64 {
		r := pullOnce(s, &PullRequest{Client: c, Group: group, Topic: topic, MaxMessages: most, Peek: peek})
		defer r.Release()
		return int64(len(r.Body))
	}
	ordersA := pull("orders", "a", 2, false) + pull("orders", "a", 3, false)
	ordersB, bills, system := pull("orders", "b", 1, false), pull("bills", "a", 1, false), pull("bills", "CID_RMQ_SYS_x", 1, false)
	pull("orders", "", 3, true)
	want := []inspect.Out{
		{Topic: "bills", Group: "CID_RMQ_SYS_x", System: true, Messages: 1, Bytes: system}, {Topic: "bills", Group: "a", Messages: 1, Bytes: bills},
		{Topic: "orders", Group: "a", Messages: 5, Bytes: ordersA}, {Topic: "orders", Group: "b", Messages: 1, Bytes: ordersB},
	}
	if got := s.InspectOut(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if g, _ := s.InspectGroup("a"); g.MessagesOut != 6 {
		t.Errorf("group a was handed %d messages", g.MessagesOut)
	}
	if err := s.DeleteTopic(context.Background(), "orders"); err != nil {
		t.Fatal(err)
	}
	if got := s.InspectOut(); !slices.Equal(got, want[:2]) {
		t.Errorf("after orders was deleted: %+v", got)
	}
	if _, there := s.out.groups["b"]; there || len(s.out.pairs) != 2 {
		t.Errorf("counters of a deleted topic are kept: %v", s.out.pairs)
	}
}

func TestOutIsBounded(t *testing.T) {
	var o outCounters
	for i := range outPairsMax + 10 {
		o.add("t", fmt.Sprint("g", i), 2, 5)
	}
	o.add("t", "g0", 1, 1)
	got := o.list(func(outPair) bool { return false })
	i := slices.IndexFunc(got, func(v inspect.Out) bool { return v.Topic == OtherOut })
	if len(got) != outPairsMax+1 || i < 0 || got[i].Messages != 20 || got[i].Bytes != 50 || o.ofGroup("g0") != 3 || len(o.groups) != outPairsMax {
		t.Errorf("%d counters, %d groups", len(got), len(o.groups))
	}
}

// Nothing is lost, whoever comes first.
func TestOutFromManyGoroutines(t *testing.T) {
	var o outCounters
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				o.add("t", fmt.Sprint(i%7), 1, 3)
			}
		})
	}
	all.Wait()
	messages, bytes := int64(0), int64(0)
	for _, v := range o.list(func(outPair) bool { return false }) {
		messages, bytes = messages+v.Messages, bytes+v.Bytes
	}
	if messages != 8000 || bytes != 24_000 || o.ofGroup("0") != 8*143 {
		t.Errorf("%d messages, %d bytes, %d of group 0", messages, bytes, o.ofGroup("0"))
	}
}

func TestCountingOutDoesNotAllocate(t *testing.T) {
	var o outCounters
	o.add("topic", "group", 1, 1)
	if n := testing.AllocsPerRun(1000, func() { o.add("topic", "group", 32, 1000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSizesAreCountedPerTopic(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for _, n := range []int{10, 20, 2000, 100_000} {
		ok(t, send(t, s, c, header("orders", "x", 0), string(make([]byte, n))))
	}
	got := s.InspectSizes()
	if len(got) != 1 || got[0].Topic != "orders" || !slices.Equal(got[0].Counts, []uint64{2, 1, 1, 0, 0, 0, 0}) || got[0].Bytes < 102_030 {
		t.Errorf("%+v", got)
	}
}

func BenchmarkCountOut(b *testing.B) {
	var o outCounters
	b.ReportAllocs()
	for b.Loop() {
		o.add("a-topic-of-usual-length", "a-group-of-usual-length", 32, 32_000)
	}
}
