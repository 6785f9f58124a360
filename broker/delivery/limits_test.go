package delivery

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/canon"
	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
)

// one is a lease of n messages.
func one(queue int32, from int64, n int) *entry.PopLease {
	r := &entry.PopLease{Group: "g", Topic: "t", Client: "c", QueueID: queue, From: from, Next: from + int64(n), PopMillis: 1 + from, InvisibleMillis: 60_000}
	for i := range n {
		r.Offsets = append(r.Offsets, from+int64(i))
	}
	return r
}

func TestLimits(t *testing.T) {
	table := New(100)
	for i := range int64(2) {
		if _, err := table.Lease(one(0, 50*i, 50)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := table.CanPop(Key{"g", "t", 0}, 32); err != nil || r.Messages != 0 || r.From != 100 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := table.CanPop(Key{"g", "t", 1}, 1000); err != nil || r.Messages != entry.LeaseMessagesMax {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := table.Lease(one(2, 0, entry.LeaseMessagesMax+1)); err == nil || !strings.Contains(err.Error(), "65 messages, the limit is 64") {
		t.Error(err)
	}
	if _, err := table.Lease(one(2, 0, entry.LeaseMessagesMax)); err != nil {
		t.Error(err)
	}
	table.leases = LeasesMax
	for _, f := range []func() error{
		func() error { _, err := table.CanPop(Key{"g", "t", 1}, 1); return err },
		func() error { _, err := table.PlanOrdered(1, Key{"g", "t", 1}, "", 1); return err },
	} {
		var refusal *Refusal
		if err := f(); !errors.As(err, &refusal) || refusal.Code != CodeSystemBusy || !strings.Contains(err.Error(), "1048576 leases are in flight, the limit is 1048576") {
			t.Error(err)
		}
	}
}

// TestSentBackIsBounded: what comes when the set is full is not remembered.
func TestSentBackIsBounded(t *testing.T) {
	table := New(0)
	for i := range int64(SentBackQueueMax + 1) {
		if err := table.SendBack(&entry.SentBack{Group: "g", Topic: "t", Offset: i, To: entry.ToRetry}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if c := table.Counts(); c.SentBack != SentBackQueueMax || c.SentBacks != SentBackQueueMax+1 || table.IsSentBack(Key{"g", "t", 0}, SentBackQueueMax) {
		t.Errorf("%+v", c)
	}
}

// TestApplyAllocatesNothing: a lease of 32 messages of a queue that has others in flight, and their acks, decoded and applied.
func TestApplyAllocatesNothing(t *testing.T) {
	table := New(0)
	if _, err := table.Lease(one(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	lease, acks, from := one(0, 0, 32), entry.PopAcks{Group: "g", Topic: "t", Client: "c", Acks: make([]entry.PopAck, 32)}, int64(1)
	var leaseBody, ackBody []byte
	run := func() {
		lease.From, lease.Next, lease.PopMillis = from, from+32, from
		for i := range lease.Offsets {
			lease.Offsets[i] = from + int64(i)
			acks.Acks[i] = entry.PopAck{Start: from, PopMillis: from, Offset: from + int64(i)}
		}
		from += 32
		leaseBody, ackBody = entry.AppendPopLease(leaseBody[:0], lease), entry.AppendPopAcks(ackBody[:0], &acks)
		if err := errors.Join(entry.DecodePopLease(leaseBody, lease), entry.DecodePopAcks(ackBody, &acks)); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Lease(lease); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Ack(&acks); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestBytesOfALease: a million leases cost less than 128 bytes each, with what a leader keeps of them.
func TestBytesOfALease(t *testing.T) {
	if testing.Short() {
		t.Skip("a million leases")
	}
	if n := bytesPerLease(LeasesMax / 4); n > 128 {
		t.Errorf("%.0f bytes", n)
	}
}

func bytesPerLease(leases int) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := filled(leases)
	table.Due(0, 1)
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := float64(after.HeapAlloc-before.HeapAlloc) / float64(leases)
	runtime.KeepAlive(table)
	return n
}

func filled(leases int) *Table {
	table := New(0)
	for i := range leases {
		_, _ = table.Lease(one(int32(i%512), int64(i/512), 1))
	}
	return table
}

// BenchmarkLease is a pop of 32 messages and their acks with a million leases in flight.
func BenchmarkLease(b *testing.B) {
	per := bytesPerLease(LeasesMax)
	table := filled(LeasesMax)
	table.Due(0, 1)
	acks := entry.PopAcks{Group: "g", Topic: "t", Client: "c", Acks: make([]entry.PopAck, 32)}
	lease, from := one(0, 0, 32), int64(1<<20)
	b.ReportAllocs()
	for b.Loop() {
		lease.From, lease.Next, lease.PopMillis = from, from+32, from
		for i := range lease.Offsets {
			lease.Offsets[i] = from + int64(i)
			acks.Acks[i] = entry.PopAck{Start: from, PopMillis: from, Offset: from + int64(i)}
		}
		if _, err := table.Lease(lease); err != nil {
			b.Fatal(err)
		}
		if _, err := table.Ack(&acks); err != nil {
			b.Fatal(err)
		}
		from += 32
	}
	b.ReportMetric(per, "B/lease")
}

func BenchmarkSave(b *testing.B) {
	table := filled(LeasesMax)
	for b.Loop() {
		b.ReportMetric(float64(len(table.Save()))/LeasesMax, "B/lease")
	}
}

// TestBackoff is what Java's policies give.
func TestBackoff(t *testing.T) {
	custom := func(next ...int64) *catalog.RetryPolicy {
		return &catalog.RetryPolicy{Type: "CUSTOMIZED", Customized: &catalog.CustomizedRetryPolicy{NextMillis: next}}
	}
	exponential := func(initial, most, by int64) *catalog.RetryPolicy {
		return &catalog.RetryPolicy{Type: "EXPONENTIAL", Exponential: &catalog.ExponentialRetryPolicy{InitialMillis: initial, MaxMillis: most, Multiplier: by}}
	}
	for name, c := range map[string]struct {
		policy *catalog.RetryPolicy
		n      int32
		want   int64
	}{
		"no policy, first retry":          {nil, 0, 10_000},
		"no policy, fourth retry":         {nil, 3, 120_000},
		"no policy, last":                 {nil, 15, 7_200_000},
		"no policy, far beyond":           {nil, math.MaxInt32, 7_200_000},
		"less than no retry":              {nil, -5, 10_000},
		"customized, third time at first": {custom(1, 2, 3, 4), 0, 3},
		"customized, fourth":              {custom(1, 2, 3, 4), 1, 4},
		"customized, the last stays":      {custom(1, 2, 3, 4), 9, 4},
		"customized, too short":           {custom(1000, 2000), 0, 2000},
		"customized, of nothing":          {custom(), 0, 10_000},
		"customized without its list":     {&catalog.RetryPolicy{Type: "CUSTOMIZED"}, 0, 10_000},
		"exponential, at first":           {exponential(5000, 7_200_000, 2), 0, 5000},
		"exponential, third":              {exponential(5000, 7_200_000, 2), 2, 20_000},
		"exponential, at most":            {exponential(5000, 7_200_000, 2), 30, 7_200_000},
		"exponential, no more than 32":    {exponential(1, math.MaxInt64, 2), 40, 1 << 32},
		"exponential, too large a number": {exponential(1000, 60_000, math.MaxInt64), 2, 60_000},
		"exponential, by nothing":         {exponential(1000, 60_000, 0), 1, 0},
		"exponential of negative numbers": {exponential(-1, -1, -1), 1, 0},
		"exponential without its numbers": {&catalog.RetryPolicy{Type: "EXPONENTIAL"}, 0, 10_000},
		"a policy of another type":        {&catalog.RetryPolicy{Type: "x"}, 0, 10_000},
	} {
		if got := Backoff(c.policy, c.n); got != c.want {
			t.Errorf("%s: %d ms, expected %d", name, got, c.want)
		}
	}
}

// TestRoute: retries are counted before this one; a negative level is the dead-letter queue.
func TestRoute(t *testing.T) {
	for _, c := range []struct {
		times, most, level int32
		want               entry.PopTo
	}{
		{0, 16, 0, entry.ToRetry}, {15, 16, 0, entry.ToRetry}, {16, 16, 0, entry.ToDeadLetter}, {0, 16, -1, entry.ToDeadLetter},
		{0, 0, 0, entry.ToDeadLetter}, {0, -1, 0, entry.ToDeadLetter}, {3, 16, 5, entry.ToRetry},
	} {
		if got := Route(c.times, c.most, c.level); got != c.want {
			t.Errorf("%+v: to %d", c, got)
		}
	}
	for _, c := range [][3]int32{{0, 0, 3}, {4, 0, 7}, {15, 0, 18}, {99, 0, 18}, {0, 5, 5}, {0, 99, 18}, {-1, 0, 3}} {
		if got := Level(c[0], c[1]); got != c[2] {
			t.Errorf("%d retries, asked %d: level %d, expected %d", c[0], c[1], got, c[2])
		}
	}
}

// FuzzRestore: bytes are refused, or are what Save gives for the state that they say.
func FuzzRestore(f *testing.F) {
	f.Add(seed(1).Save())
	f.Add(seed(6).Save())
	f.Fuzz(func(t *testing.T, b []byte) {
		table := New(0)
		if err := table.Restore(b); err != nil {
			if !errors.Is(err, canon.ErrFormat) || table.Save() != nil {
				t.Fatalf("%v, and %d bytes of state", err, len(table.Save()))
			}
			return
		}
		if got := table.Save(); !bytes.Equal(got, b) {
			t.Fatalf("saved as %x", got)
		}
		for _, q := range table.queues { // whatever it says can be asked for
			if q != nil {
				table.Leases(q.key, 10)
			}
		}
		table.Due(1<<50, 10)
	})
}

// seed is a table with something of everything.
func seed(n int) *Table {
	table := New(0)
	for i := range int64(n) {
		_, _ = table.Lease(one(int32(i%2), 10*i, 3))
		_ = table.SendBack(&entry.SentBack{Group: "h", Topic: "t", Offset: 3 * i, To: entry.ToRetry}, 0)
	}
	_, _ = table.Lease(&entry.PopLease{Group: "g", Topic: "u", Client: "d", From: 5, Next: 90, PopMillis: 7, InvisibleMillis: 9, Offsets: []int64{7, 9, 80}})
	_, _ = table.Ack(&entry.PopAcks{Group: "g", Topic: "u", Acks: []entry.PopAck{{Start: 5, PopMillis: 7, Offset: 9}}})
	for _, r := range []entry.PopLease{
		{Attempt: "a", PopMillis: 7, Offsets: []int64{5, 6, 8}},
		{PopMillis: 70, Offsets: []int64{5}},
	} {
		r.Group, r.Topic, r.Client, r.Order, r.From, r.Next, r.InvisibleMillis = "o", "u", "d", true, 5, 9, 9
		_, _ = table.Lease(&r)
	}
	return table
}

// TestLeftOversAreSwept: leases that ended leave no more behind than leftOversMax, and what is in flight still comes due.
func TestLeftOversAreSwept(t *testing.T) {
	table := New(0)
	table.Due(0, 1)
	if _, err := table.Lease(one(7, 0, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3 * leftOversMax) {
		if _, err := table.Lease(one(0, i, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Ack(&entry.PopAcks{Group: "g", Topic: "t", Acks: []entry.PopAck{{Start: i, PopMillis: 1 + i, Offset: i}}}); err != nil {
			t.Fatal(err)
		}
		if n := table.plan.heap.Len(); n > leftOversMax+4 {
			t.Fatalf("%d items for one lease", n)
		}
	}
	over, _, next := table.Due(60_001, 10)
	if len(over) != 1 || over[0].QueueID != 7 || next != 60_001+AgainMillis {
		t.Errorf("%+v, next %d", over, next)
	}
}

// TestWhatIsKnown: of a queue with leases, of one with nothing, and what may be revived.
func TestWhatIsKnown(t *testing.T) {
	table := New(0)
	if _, err := table.Lease(one(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if s, ok := table.Get(Key{"g", "t", 0}); !ok || s.Next != 2 || s.Low != 0 || s.InFlight != 2 || s.Leases != 1 {
		t.Errorf("%+v %t", s, ok)
	}
	if s, ok := table.Get(Key{"g", "t", 1}); ok {
		t.Errorf("%+v", s)
	}
	r := &entry.PopRevive{Group: "g", Topic: "t", Start: 0, PopMillis: 1, AtMillis: 60_001, Messages: []entry.Revived{{Offset: 0, To: entry.ToRetry}}}
	if err := table.CanRevive(r); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(r *entry.PopRevive){
		"too early":           func(r *entry.PopRevive) { r.AtMillis-- },
		"another lease":       func(r *entry.PopRevive) { r.PopMillis++ },
		"another queue":       func(r *entry.PopRevive) { r.QueueID++ },
		"an offset behind it": func(r *entry.PopRevive) { r.Messages = []entry.Revived{{Offset: 2, To: entry.ToRetry}} },
		"the same twice":      func(r *entry.PopRevive) { r.Messages = append(r.Messages, r.Messages[0]) },
		"to nowhere":          func(r *entry.PopRevive) { r.Messages = []entry.Revived{{Offset: 1}} },
		"nothing":             func(r *entry.PopRevive) { r.Messages = nil },
	} {
		c := *r
		change(&c)
		if table.CanRevive(&c) == nil {
			t.Errorf("%s may be revived", name)
		}
	}
}
