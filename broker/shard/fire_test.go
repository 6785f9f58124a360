package shard

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// The parts of a fire go one from where the other ends, and have all its entries; none is larger than it may be but for one message.
func TestPartsOfAFire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := fireJob{from: timer.Cursor{Due: 1, Pos: 1}, cancelled: 3, rolled: 4, term: 5}
		for i, size := range rapid.SliceOfN(rapid.IntRange(1, 1500), 1, 50).Draw(t, "sizes") {
			whole.entries = append(whole.entries, timer.Entry{Due: 10, Pos: int64(1000 * i), Size: uint32(size)})
		}
		whole.to = timer.Cursor{Due: 11, Pos: 99} // behind the last, where something was cancelled
		var all []timer.Entry
		from := whole.from
		parts := whole.parts(1000)
		for i, p := range parts {
			if p.from != from || p.cancelled != 3 || p.rolled != 4 || p.term != 5 || len(p.entries) == 0 {
				t.Fatalf("part %d of %d begins at %v, the one before it ends at %v: %+v", i, len(parts), p.from, from, p)
			}
			bytes := 0
			for _, e := range p.entries {
				bytes += int(e.Size)
			}
			if bytes > 1000 && len(p.entries) > 1 {
				t.Fatalf("part %d has %d bytes", i, bytes)
			}
			if last := p.entries[len(p.entries)-1].Place(); i < len(parts)-1 && p.to != last {
				t.Fatalf("part %d ends at %v, its last entry is at %v", i, p.to, last)
			}
			all, from = append(all, p.entries...), p.to
		}
		if from != whole.to || !slices.Equal(all, whole.entries) {
			t.Fatalf("the last part ends at %v, the fire at %v; %d of %d entries", from, whole.to, len(all), len(whole.entries))
		}
	})
}

// Parked messages that lie side by side are read at once, and each is what was parked.
func TestMessagesSideBySideAreReadAtOnce(t *testing.T) {
	reads := 0
	fs := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpRead && (strings.HasSuffix(name, "next.prepared") || strings.HasSuffix(name, ".seg")) {
			reads++
		}
		return nil
	}}
	s, _ := parking(t, fs, 500)
	all := pending(t, s.Shard)
	slices.SortFunc(all, func(a, b timer.Entry) int { return int(a.Pos - b.Pos) })
	reads = 0
	r := parkedReader{s: s.Shard}
	for i, e := range all {
		v, err := r.message(all[i:])
		if err != nil || v.Position() != e.Pos || len(v) != int(e.Size) {
			t.Fatalf("entry %d, position %d: %d %v", i, e.Pos, v.Position(), err)
		}
		if due, ok := timer.ParseDue(message.Property(v.Properties(), message.PropTimerOutMillis)); !ok || due != e.Due {
			t.Fatalf("entry %d is due at %d, its message at %d", i, e.Due, due)
		}
	}
	if reads == 0 || reads > 20 { // 50 of them share an entry of the log
		t.Fatalf("%d reads for %d messages", reads, len(all))
	}
}

// A message that is cancelled while the fires before its own are stored does not come; all others do, in their order.
func TestACancelBetweenTheFiresOfAStorm(t *testing.T) {
	s, topic := parking(t, vfs.NewMem(), 1)
	due := int64(1000)
	s.Submit(dated(t, parkedBatch(topic, 40, func(int) int64 { due++; return due })))
	settle(t, s)
	all := pending(t, s.Shard)[:40]
	if n := len(s.firing.later); n < 3 {
		t.Fatalf("%d fires: the test shows too little", n)
	}
	s.Fire()
	settle(t, s)
	if n := s.Timers().Counts().Fired; n == 0 || n > 25 {
		t.Fatalf("%d are fired", n)
	}
	proposed(t, s, entry.KindTimerCancel, entry.AppendTimerCancel(nil, all[30].Place(), "shop-7"))
	for s.Fires() {
		s.Fire()
		settle(t, s)
	}
	if c := s.Timers().Counts(); c.Fired != 39 || c.Pending() != 1 {
		t.Fatalf("%+v", c)
	}
	rows, err := s.Index().Lookup("orders").Queue(1).Rows(nil, 0, 100)
	if err != nil || len(rows) != 39 {
		t.Fatal(len(rows), err)
	}
	for i, e := range slices.Delete(all, 30, 31) {
		raw, err := s.Message(nil, rows[i].Pos, int(rows[i].Size))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := timer.ParseDue(message.Property(message.View(raw).Properties(), message.PropTimerOutMillis)); !ok || got != e.Due {
			t.Fatalf("message %d was due at %d, want %d", i, got, e.Due)
		}
	}
}
