package trail

import (
	"context"
	"slices"
	"strconv"
)

// KindLeaderChange is the kind of the happenings that say who leads a broker group. Each member notes what it sees, with these
// details.
const (
	KindLeaderChange = "leader-change"

	DetailBroker = "broker" // broker group's name
	DetailTerm   = "term"   // decimal
	DetailState  = "state"  // one of the states below, of the node that notes it
	DetailLeader = "leader" // the node that leads as far as the noting one knows; "" or absent: nobody
)

// States of a member.
const (
	StateLeads   = "leads"   // it may answer as the leader from now on
	StateStops   = "stops"   // it led in this term and does not any more
	StateFollows = "follows" // it knows who leads
	StateNobody  = "nobody"  // it knows of nobody who leads
)

// LeaderChange makes the details of such a happening.
func LeaderChange(broker, state, leader string, term uint64) map[string]string {
	return map[string]string{DetailBroker: broker, DetailTerm: strconv.FormatUint(term, 10), DetailState: state, DetailLeader: leader}
}

// Leadership is one member's time as the leader of a broker group: one term.
type Leadership struct {
	Broker     string `json:"broker"`
	Term       uint64 `json:"term"`
	Node       string `json:"node"`
	FromMicros int64  `json:"fromMicros"` // since when it could answer as the leader
	ToMicros   int64  `json:"toMicros"`   // until when it did; 0: it leads as far as is recorded
	Stopped    bool   `json:"stopped"`    // it said so itself; else it died or was cut off, and ToMicros is the last that is known of its term
	GapMicros  int64  `json:"gapMicros"`  // from there until the next one could answer: nobody led
}

// Leaders tells who led when.
type Leaders interface {
	// Leaders gives the leaderships of a broker group that overlap a time span, oldest first.
	Leaders(ctx context.Context, broker string, fromMicros, toMicros int64) ([]Leadership, error)
}

// Leaderships puts a broker group's leader changes, oldest first, together. last gives the time of the last message that is known
// to have been answered in a term, 0 unknown; it is asked for terms whose leader did not say that it stopped.
func Leaderships(broker string, changes []Happening, last func(l *Leadership, next int64) int64) []Leadership {
	list := []Leadership{}
	stops := map[uint64]int64{}
	for i := range changes {
		h := &changes[i]
		term, err := strconv.ParseUint(h.Detail[DetailTerm], 10, 64)
		if err != nil || h.Detail[DetailBroker] != broker {
			continue
		}
		switch h.Detail[DetailState] {
		case StateLeads:
			if !slices.ContainsFunc(list, func(l Leadership) bool { return l.Term == term }) {
				list = append(list, Leadership{Broker: broker, Term: term, Node: h.Node, FromMicros: h.AtMicros})
			}
		case StateStops:
			stops[term] = h.AtMicros
		}
	}
	// Clocks of nodes differ, terms do not lie.
	slices.SortStableFunc(list, func(a, b Leadership) int { return int(min(max(int64(a.Term)-int64(b.Term), -1), 1)) })
	for i := range list {
		l := &list[i]
		l.ToMicros, l.Stopped = stops[l.Term], stops[l.Term] > 0
		if i+1 < len(list) {
			l.end(list[i+1].FromMicros, changes, last)
		}
	}
	return list
}

// end finds when a leadership ended that another one followed at next.
func (l *Leadership) end(next int64, changes []Happening, last func(*Leadership, int64) int64) {
	if !l.Stopped {
		l.ToMicros = max(last(l, next), l.FromMicros)
		if lost := l.lost(next, changes); lost > 0 && l.ToMicros == l.FromMicros {
			l.ToMicros = lost
		}
	}
	l.ToMicros = max(min(l.ToMicros, next), l.FromMicros)
	l.GapMicros = max(0, next-l.ToMicros)
}

// lost is when another member first missed the leader.
func (l *Leadership) lost(next int64, changes []Happening) int64 {
	for i := range changes {
		h := &changes[i]
		if h.Detail[DetailBroker] == l.Broker && h.Detail[DetailState] == StateNobody && h.AtMicros >= l.FromMicros && h.AtMicros <= next {
			return h.AtMicros
		}
	}
	return 0
}
