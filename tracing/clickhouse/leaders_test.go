package clickhouse

import (
	"context"
	"reflect"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
)

// A failover as its rows tell it: who led, the gap in which nobody did, and the message that lived through it.
func TestAFailoverIsOneStory(t *testing.T) {
	s := open(t, testOptions(t))
	const second = int64(1_000_000)
	m := testMessage(1)
	m.Term, m.AppendedMicros, m.AckedMicros = 4, at+10*second, at+10*second+300
	write(t, s, "t", func(b trail.Sink) {
		for _, c := range []struct {
			at                  int64
			node, broker, state string
			term                uint64
		}{
			{at, "node-1", "broker-a", trail.StateLeads, 4},
			{at + 12*second, "node-2", "broker-a", trail.StateNobody, 4},
			{at + 13*second, "node-2", "broker-a", trail.StateLeads, 6},
			{at + 13*second, "node-3", "broker-b", trail.StateLeads, 9},
			{at + 30*second, "node-2", "broker-a", trail.StateStops, 6},
			{at + 30*second + 5, "node-3", "broker-a", trail.StateLeads, 7},
		} {
			b.Happening(&trail.Happening{AtMicros: c.at, Kind: trail.KindLeaderChange, Node: c.node, Count: 1, Detail: trail.LeaderChange(c.broker, c.state, "", c.term)})
		}
		b.Message(&m)
		after := someDelivery
		after.QueueID, after.From, after.To = m.QueueID, m.QueueOffset, m.QueueOffset+1
		after.RequestedMicros, after.SentMicros, after.Node = at+14*second, at+14*second, "node-2"
		b.Delivery(&after)
	})
	var leaders trail.Leaders = s
	got, err := leaders.Leaders(context.Background(), "broker-a", at+5*second, at+20*second)
	want := []trail.Leadership{
		{Broker: "broker-a", Term: 4, Node: "node-1", FromMicros: at, ToMicros: m.AckedMicros, GapMicros: at + 13*second - m.AckedMicros},
		{Broker: "broker-a", Term: 6, Node: "node-2", FromMicros: at + 13*second},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got  %+v\nwant %+v", err, got, want)
	}
	l, err := s.Life(context.Background(), m.ID)
	if err != nil || len(l.Messages) != 1 || len(l.Deliveries) != 1 {
		t.Fatalf("%+v %v", l, err)
	}
	if n := len(l.Happenings); n != 5 { // its own broker group's, and no other one's
		t.Errorf("%d happenings: %+v", n, l.Happenings)
	}
}
