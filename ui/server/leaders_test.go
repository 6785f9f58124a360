package server

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// A life tells who led within it, when that was more than one member or for a while nobody.
func TestLifeTellsItsLeaders(t *testing.T) {
	c := newConsole(t, nil)
	m := fromLog(c.broker.store(1000, 0, 0, []byte("x"), "UNIQ_KEY", "ID1"), c.broker.node)
	m.ReceivedMicros = m.AppendedMicros - 100
	at := m.AppendedMicros
	c.trail.life = lifeWith(m)
	c.trail.life.Settlements = []trail.Settlement{{Topic: "orders", QueueID: 0, From: 0, To: 1, Group: "billing", Outcome: "acknowledged", AtMicros: at + 5000}}
	leads := func(term uint64, from, to, gap int64) trail.Leadership {
		return trail.Leadership{Broker: m.Broker, Term: term, Node: "n", FromMicros: at + from, ToMicros: max(at+to, 0), GapMicros: gap}
	}
	open := -at // ToMicros 0: it leads
	for name, row := range map[string]struct {
		leaders []trail.Leadership
		terms   []uint64
	}{
		"nothing is recorded":                    {},
		"one led all the time":                   {leaders: []trail.Leadership{leads(3, -9000, open, 0)}},
		"the first ended before":                 {leaders: []trail.Leadership{leads(2, -9000, -800, 100), leads(3, -700, open, 0)}},
		"two led":                                {leaders: []trail.Leadership{leads(2, -9000, 1000, 0), leads(3, 1000, open, 0)}, terms: []uint64{2, 3}},
		"it was taken in when nobody led":        {leaders: []trail.Leadership{leads(2, -9000, -800, 750), leads(3, -50, open, 0)}, terms: []uint64{2, 3}},
		"the leader stopped and nobody followed": {leaders: []trail.Leadership{leads(2, -9000, 1000, 0)}, terms: []uint64{2}},
	} {
		c.trail.leaders = row.leaders
		l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1"))
		var terms []uint64
		for _, x := range l.Leaders {
			terms = append(terms, x.Term)
		}
		if !slices.Equal(terms, row.terms) {
			t.Errorf("%s: terms %v, want %v", name, terms, row.terms)
		}
	}
	c.trail.leadersErr = errors.New("no connection")
	if l := answer[api.MessageLife](t, c.get(t, "/api/v1/messages/ID1")); !strings.Contains(l.LeadersReason, "no connection") {
		t.Errorf("reason %q", l.LeadersReason)
	}
}
