package brokertest

import (
	"maps"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/service"
)

// verdictOf runs a check on a round of its own and gives what it complains about.
func verdictOf(row int, f func(r *Round)) string {
	r := &Round{Row: &Row{Number: row}}
	f(r)
	return strings.Join(r.Bad, "; ")
}

func place(i int64) Place { return Place{Groups[0], 0, i} }

// expect compares complaints with words that they must have; "" is none.
func expect(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
		t.Errorf("%s: the check says %q, expected %q", name, got, want)
	}
}

// The checks of scheduled messages find what is planted.
func TestTimersVerdict(t *testing.T) {
	good := map[Place]Kept{place(0): {ID: "a", StoreTime: 100}, place(1): {ID: "b", StoreTime: 130}, place(2): {ID: "late", StoreTime: 101}}
	for name, w := range map[string]struct {
		change func(kept map[Place]Kept)
		want   string
	}{
		"as it should be": {func(map[Place]Kept) {}, ""},
		"early":           {func(k map[Place]Kept) { k[place(0)] = Kept{ID: "a", StoreTime: 99} }, "1 early"},
		"lost":            {func(k map[Place]Kept) { delete(k, place(1)) }, "1 lost"},
		"lost after late": {func(k map[Place]Kept) { delete(k, place(2)) }, "1 lost"},
		"twice":           {func(k map[Place]Kept) { k[place(3)] = Kept{ID: "b", StoreTime: 140} }, "1 more than once"},
		"cancelled":       {func(k map[Place]Kept) { k[place(3)] = Kept{ID: "gone", StoreTime: 140} }, "1 came though"},
		"nobody's":        {func(k map[Place]Kept) { k[place(3)] = Kept{ID: "x", StoreTime: 140} }, "nobody scheduled"},
		"not acked, came": {func(k map[Place]Kept) { k[place(3)] = Kept{ID: "unknown", StoreTime: 140} }, ""},
		"not acked, twice": {func(k map[Place]Kept) {
			k[place(3)], k[place(4)] = Kept{ID: "unknown", StoreTime: 140}, Kept{ID: "unknown", StoreTime: 140}
		}, "1 more than once"},
	} {
		kept := maps.Clone(good)
		w.change(kept)
		expect(t, name, verdictOf(36, func(r *Round) {
			s := &timers{r: r, byID: map[string]*timed{
				"a": {due: 100, acked: true}, "b": {due: 100, acked: true}, "gone": {due: 100, acked: true, cancel: service.RecallCancelled},
				"late": {due: 100, acked: true, cancel: service.RecallTooLate}, "unknown": {due: 100},
			}}
			s.verdict(kept)
		}), w.want)
	}
}

// The checks of transactions find what is planted.
func TestTransactionsVerdict(t *testing.T) {
	one := func(plan int32, asked int64, commits, rollbacks int64) *half {
		h := &half{acked: true, plan: plan}
		h.commit.Store(asked)
		h.accepted[0].Store(commits)
		h.accepted[1].Store(rollbacks)
		return h
	}
	good := map[Place]Kept{place(0): {ID: "c", StoreTime: 100}}
	for name, w := range map[string]struct {
		change       func(kept map[Place]Kept, t *txnSet)
		orphan, ends string // what the checks of row 40 and 41 say
	}{
		"as it should be": {func(map[Place]Kept, *txnSet) {}, "", ""},
		"lost":            {func(k map[Place]Kept, _ *txnSet) { delete(k, place(0)) }, "1 lost", "1 do not stand"},
		"twice":           {func(k map[Place]Kept, _ *txnSet) { k[place(1)] = k[place(0)] }, "1 came twice", "1 do not stand"},
		"rolled back":     {func(k map[Place]Kept, _ *txnSet) { k[place(1)] = Kept{ID: "r", StoreTime: 100} }, "1 came that were rolled back", "1 do not stand"},
		"before":          {func(_ map[Place]Kept, s *txnSet) { s.byID["c"].commit.Store(101) }, "1 came before", "nobody committed by then"},
		"nobody's":        {func(k map[Place]Kept, _ *txnSet) { k[place(1)] = Kept{ID: "x"} }, "nobody sent", "nobody committed"},
		"both":            {func(_ map[Place]Kept, s *txnSet) { s.byID["c"].accepted[1].Store(1) }, "", "of 1 both ends"},
		"none":            {func(_ map[Place]Kept, s *txnSet) { s.byID["r"].accepted[1].Store(0) }, "", "1 have no accepted end"},
	} {
		for row, want := range map[int]string{40: w.orphan, 41: w.ends} {
			expect(t, name, verdictOf(row, func(r *Round) {
				s, kept := &txnSet{r: r, byID: map[string]*half{"c": one(txnCommit, 90, 1, 0), "r": one(txnRollback, 0, 0, 1)}}, maps.Clone(good)
				w.change(kept, s)
				if row == 40 {
					s.verdict(kept)
				} else {
					s.firstWins(kept)
				}
			}), want)
		}
	}
}

// The checks of leases find what is planted.
func TestLeasesVerdict(t *testing.T) {
	for name, w := range map[string]struct {
		before taken
		next   lease
		want   string
	}{
		"the first":            {taken{}, lease{popped: 100, until: 200}, ""},
		"after its time":       {taken{leases: []lease{{popped: 100, until: 200}}}, lease{popped: 200, until: 300}, ""},
		"within its time":      {taken{leases: []lease{{popped: 100, until: 200}}}, lease{popped: 199, until: 300}, "LEASED TWICE"},
		"told late":            {taken{leases: []lease{{popped: 100, until: 200}}}, lease{popped: 50, until: 101}, "LEASED TWICE"},
		"acked in time":        {taken{leases: []lease{{popped: 100, until: 200}}, inTime: 150, settled: true}, lease{popped: 250, until: 300}, "REDELIVERED"},
		"acked after its time": {taken{leases: []lease{{popped: 100, until: 200}}, settled: true}, lease{popped: 250, until: 300}, ""},
	} {
		expect(t, name, verdictOf(44, func(r *Round) { (&popper{r: r}).leaseTwice(&w.before, &w.next) }), w.want)
	}
}

// The checks of retries find what is planted.
func TestRetriesVerdict(t *testing.T) {
	id, wait := uniqID(45, 0), retryEvery.Milliseconds()
	sent := map[Place]Kept{place(0): {ID: id}}
	again := map[Place]Kept{place(0): {ID: id, Times: 1, StoreTime: 100 + wait}, place(1): {ID: id, Times: 2, StoreTime: 200 + wait}}
	dead := map[Place]Kept{place(0): {ID: id, Times: 3}}
	for name, w := range map[string]struct {
		change func(sent, again, dead map[Place]Kept)
		want   string
	}{
		"as it should be": {func(_, _, _ map[Place]Kept) {}, ""},
		"a hop lost":      {func(_, again, _ map[Place]Kept) { delete(again, place(1)) }, "1 hops not exactly once"},
		"a hop twice":     {func(_, again, _ map[Place]Kept) { again[place(2)] = again[place(1)] }, "1 hops not exactly once"},
		"early":           {func(_, again, _ map[Place]Kept) { again[place(1)] = Kept{ID: id, Times: 2, StoreTime: 199 + wait} }, "1 early"},
		"one too many":    {func(_, again, _ map[Place]Kept) { again[place(2)] = Kept{ID: id, Times: 4, StoreTime: 900} }, "nobody sent back"},
		"no dead letter":  {func(_, _, dead map[Place]Kept) { delete(dead, place(0)) }, "0 dead letters"},
		"died twice":      {func(_, _, dead map[Place]Kept) { dead[place(1)] = dead[place(0)] }, "2 dead letters of 1"},
		"died too soon":   {func(_, _, dead map[Place]Kept) { dead[place(0)] = Kept{ID: id, Times: 2} }, "was consumed 2 times"},
		"sent twice":      {func(sent, _, _ map[Place]Kept) { sent[place(1)] = sent[place(0)] }, "2 times in its topic"},
	} {
		s, a, d := maps.Clone(sent), maps.Clone(again), maps.Clone(dead)
		w.change(s, a, d)
		expect(t, name, verdictOf(45, func(r *Round) {
			(&failer{r: r, back: map[string]map[int32]int64{id: {0: 100, 1: 200, 2: 300}}}).judge(1, 2, s, a, d)
		}), w.want)
	}
}
