package derive_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/sim"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// trails are what the members of a simulated group derive, each from what it shows, put together by position as the store does.
type trails struct {
	t        *testing.T
	members  map[int]*derive.Deriver
	last     map[int]uint64
	rows     map[int64]trail.StoredMessage
	repeated int
	holes    int
}

func (all *trails) entry(member int, r entry.Record) {
	d := all.members[member]
	if last := all.last[member]; d == nil || r.Index > last+1 { // as the shipper does: behind a hole nothing is known
		d = derive.New(derive.Options{Broker: "broker-a"})
		all.members[member] = d
		if last > 0 {
			all.holes++
		}
	}
	all.last[member] = r.Index
	rows := &derivetest.Rows{}
	if err := d.Record(&r, notes.EntryTimes{}, rows); err != nil {
		all.t.Fatalf("member %d, entry %d: %v", member+1, r.Index, err)
	}
	for _, m := range rows.Messages {
		all.add(member, m)
	}
}

func (all *trails) add(member int, m trail.StoredMessage) {
	before, seen := all.rows[m.Position]
	if !seen {
		all.rows[m.Position] = m
		return
	}
	all.repeated++
	m.Keys, before.Keys = nil, nil
	if !same(&before, &m) {
		all.t.Errorf("member %d derives another row for position %d:\n%+v\n%+v", member+1, m.Position, m, before)
	}
}

func same(a, b *trail.StoredMessage) bool {
	return a.ID == b.ID && a.Topic == b.Topic && a.QueueID == b.QueueID && a.QueueOffset == b.QueueOffset && a.Index == b.Index && a.Term == b.Term &&
		a.ProducerGroup == b.ProducerGroup && a.AppendedMicros == b.AppendedMicros && a.StoredBytes == b.StoredBytes
}

// TestTheTrailTellsExactlyWhatHappened: across failovers, power losses, replaced members and deleted topics every message that the
// log holds is in the trail once, at its place and with its producer, and nothing else is.
func TestTheTrailTellsExactlyWhatHappened(t *testing.T) {
	messages, repeated, holes, terms, seeds := 0, 0, 0, 0, uint64(40)
	if testing.Short() {
		seeds = 25
	}
	for seed := range seeds {
		all := &trails{t: t, members: map[int]*derive.Deriver{}, last: map[int]uint64{}, rows: map[int64]trail.StoredMessage{}}
		r := sim.Run(sim.Config{Seed: seed + 1, Entries: all.entry})
		if r.Violation != "" {
			t.Fatalf("seed %d: %s", seed+1, r.Violation)
		}
		all.compare(seed+1, r.Truth)
		messages, repeated, holes, terms = messages+len(all.rows), repeated+all.repeated, holes+all.holes, terms+r.Coverage[sim.Terms]
	}
	t.Logf("%d messages, %d derived again, %d holes, %d leaders", messages, repeated, holes, terms)
	if messages < 10_000 || repeated < messages || terms < 80 {
		t.Error("the runs show too little")
	}
}

func (all *trails) compare(seed uint64, truth sim.Truth) {
	positions := make([]int64, 0, len(all.rows))
	for p := range all.rows {
		positions = append(positions, p)
	}
	slices.Sort(positions)
	if len(positions) != len(truth.Messages) {
		all.t.Fatalf("seed %d: %d rows, the log holds %d messages", seed, len(positions), len(truth.Messages))
	}
	for i, p := range positions {
		m, want := all.rows[p], truth.Messages[i]
		who, _, _ := strings.Cut(want.ID, "-")
		got := sim.Stored{ID: m.ID, Queue: m.QueueID, Offset: m.QueueOffset, Position: m.Position}
		if got != want || m.Topic != truth.Topic || m.ProducerGroup != who {
			all.t.Fatalf("seed %d: the trail says %+v of %s by %q, the log %+v of %s by %q", seed, got, m.Topic, m.ProducerGroup, want, truth.Topic, who)
		}
	}
}
