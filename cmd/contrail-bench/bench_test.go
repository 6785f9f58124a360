package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A stretch must tell of the requests that were planned in it, whenever they were answered: a server that stalls could hide it else.
func TestStretchCountsByPlannedTime(t *testing.T) {
	at := time.Unix(1000, 0)
	r := &recorder{samples: [][]sample{
		{{at.Add(-1), time.Second, ""}, {at, 3 * time.Second, ""}},
		{{at.Add(1), time.Second, ""}, {at.Add(2), 0, "code 14: no"}, {at.Add(time.Minute), time.Second, ""}},
	}}
	took, refused, refusal := r.latencies(&stretch{from: at, to: at.Add(time.Minute)})
	if len(took) != 2 || took[0] != time.Second || took[1] != 3*time.Second || refused != 1 || refusal != "code 14: no" {
		t.Fatalf("%v, %d refused: %s", took, refused, refusal)
	}
	if q := quantileOf(took, 1); q != 3*time.Second {
		t.Errorf("the longest is %s", q)
	}
}

func TestFastestGrowthLooksAtWholeSeconds(t *testing.T) {
	at, moved := time.Unix(1000, 0), []movement{}
	for i := range 31 { // 100 bytes in each tenth of the second second, 10 in the others
		step := int64(10)
		if i > 10 && i <= 20 {
			step = 100
		}
		var last int64
		if i > 0 {
			last = moved[i-1].bytes
		}
		moved = append(moved, movement{at.Add(time.Duration(i) * 100 * time.Millisecond), last + step})
	}
	if got := fastest(moved, time.Second); got != 1000 {
		t.Errorf("%.0f bytes per second", got)
	}
}

// A peer of several members belongs to the scenarios of three members, whatever its mode is; one process to those of its mode.
func TestPeerJoinsScenariosOfItsKind(t *testing.T) {
	one, three := &scenario{mode: synced}, &scenario{mode: synced, members: true}
	s := settings{peer: "127.0.0.1:10911", peerMode: string(pageCache), peerOthers: []int{7, 8}}
	if s.joins(one) || !s.joins(three) || !strings.Contains(s.text(three), "3 processes, page-cache") {
		t.Errorf("several: %t %t %q", s.joins(one), s.joins(three), s.text(three))
	}
	s = settings{peer: "127.0.0.1:10911", peerMode: string(synced)}
	if !s.joins(one) || s.joins(&scenario{mode: pageCache}) || (&settings{}).joins(one) {
		t.Error("one process joins scenarios of another mode, or not those of its own")
	}
}

// The spare node must be known to all, and must not found the group: it could not be added later else.
func TestSpareNodeIsNoFounder(t *testing.T) {
	c := &cluster{layout: layout{groups: []string{"a", "b"}, spare: 1}, dir: t.TempDir()}
	if err := c.configure(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		b, err := os.ReadFile(n.conf)
		if err != nil || !strings.Contains(string(b), "founders: [1, 2, 3]") || strings.Count(string(b), "{id: ") != 4 {
			t.Errorf("%s: %v\n%s", n.conf, err, b)
		}
	}
}
