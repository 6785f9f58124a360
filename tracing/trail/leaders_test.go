package trail

import (
	"reflect"
	"testing"
)

func change(at int64, node, state string, term uint64) Happening {
	return Happening{AtMicros: at, Kind: KindLeaderChange, Node: node, Detail: LeaderChange("broker-a", state, "", term)}
}

func TestWhoLedWhen(t *testing.T) {
	changes := []Happening{
		change(100, "a", StateLeads, 2),
		change(110, "b", StateFollows, 2),
		change(150, "c", StateNobody, 2), // cut off for a while: no leader's end
		change(160, "c", StateFollows, 2),
		change(300, "a", StateStops, 2), // an orderly move
		change(310, "b", StateLeads, 3),
		change(500, "c", StateNobody, 3), // b died
		change(520, "a", StateLeads, 5),  // terms without a leader are no leaderships
		change(530, "a", StateLeads, 5),  // a note that was told twice
		change(700, "c", StateLeads, 6),  // a slept
		change(900, "a", StateStops, 5),  // and woke up
		{AtMicros: 950, Kind: KindLeaderChange, Node: "x", Detail: LeaderChange("broker-b", StateLeads, "", 9)},
		{AtMicros: 960, Kind: KindLeaderChange, Node: "x", Text: "of an older version"},
	}
	last := func(l *Leadership, next int64) int64 {
		if l.Term == 3 && next == 520 {
			return 480
		}
		return 0
	}
	want := []Leadership{
		{"broker-a", 2, "a", 100, 300, true, 10},
		{"broker-a", 3, "b", 310, 480, false, 40},
		{"broker-a", 5, "a", 520, 700, true, 0},
		{"broker-a", 6, "c", 700, 0, false, 0},
	}
	if got := Leaderships("broker-a", changes, last); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	nothing := func(*Leadership, int64) int64 { return 0 }
	if got := Leaderships("broker-a", changes, nothing); got[1].ToMicros != 500 || got[1].GapMicros != 20 {
		t.Errorf("without a message the first who missed it says when: %+v", got[1])
	}
	if got := Leaderships("broker-z", changes, nothing); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
