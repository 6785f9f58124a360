package otlp

import (
	"fmt"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
)

// names of the spans that an exporter was given.
func names(c *collecting) (all []string) {
	for _, s := range c.spans {
		all = append(all, s.Name())
	}
	slices.Sort(all)
	return all
}

func message(topic string, offset int64) *trail.StoredMessage {
	return &trail.StoredMessage{Message: trail.Message{Broker: "broker-a", ID: fmt.Sprint(topic, offset), Topic: topic, QueueOffset: offset, AppendedMicros: at}}
}

func delivery(topic string, from, to, micros int64) *trail.StoredDelivery {
	return &trail.StoredDelivery{Delivery: trail.Delivery{Broker: "broker-a", Topic: topic, From: from, To: to, Group: "g", SentMicros: micros}}
}

// Who ships reads notes before the log: a delivery that comes first is a span all the same, with its message as parent.
func TestADeliveryMayComeBeforeItsMessages(t *testing.T) {
	c := &collecting{}
	s := runWith(t, Options{Exporter: c, Ratio: 1}, func(b trail.Sink) {
		topic := []byte("orders") // a row's strings are valid only within the call
		d := delivery(string(topic), 0, 2, at+10)
		b.Delivery(d)
		d.Topic, d.Group = "other", "other"
		b.Message(message("orders", 0))
		b.Delivery(delivery("orders", 0, 1, at+20)) // its message came already
		b.Message(message("orders", 1))
		b.Delivery(delivery("orders", 1, 3, at+30)) // the third never comes
	})
	want := []string{"deliver orders", "deliver orders", "deliver orders", "store orders", "store orders"}
	if got := names(c); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, span := range c.spans {
		if span.Name() == "deliver orders" && !span.Parent().IsValid() {
			t.Errorf("no parent: %v", span)
		}
	}
	if st := s.Stats(); st != (Stats{Exported: 5}) {
		t.Errorf("stats %+v", st)
	}
}

// A topic that was made anew begins with offset 0: what is early is so by the new offsets.
func TestEarlyIsByTheNewTopic(t *testing.T) {
	c := &collecting{}
	runWith(t, Options{Exporter: c, Ratio: 1}, func(b trail.Sink) {
		b.Message(message("orders", 9))
		b.Message(message("orders", 0))
		b.Delivery(delivery("orders", 1, 2, at))
		b.Message(message("orders", 1))
	})
	if got := names(c); !slices.Equal(got, []string{"deliver orders", "store orders", "store orders", "store orders"}) {
		t.Errorf("%q", got)
	}
}

// What waits is bounded, and what is given up is counted.
func TestEarlyDeliveriesAreBounded(t *testing.T) {
	c := &collecting{}
	s := runWith(t, Options{Exporter: c, Ratio: 1}, func(b trail.Sink) {
		for i := range earlyMax + 10 {
			b.Delivery(delivery("orders", int64(i), int64(i+1), at))
		}
		b.Delivery(delivery("late", 0, 1, at+2*earlyMicros)) // the old ones make room
		b.Message(message("late", 0))
		b.Message(message("orders", 0))
	})
	if got := names(c); !slices.Equal(got, []string{"deliver late", "store late", "store orders"}) {
		t.Errorf("%q", got)
	}
	if st := s.Stats(); st.Unmatched != earlyMax+10 {
		t.Errorf("%+v", st)
	}
	if s.early.count != 0 {
		t.Errorf("%d wait", s.early.count)
	}
	e := newEarly()
	for i := range queuesMax + 10 {
		e.saw(queueKey{"", fmt.Sprint("t", i), 0}, 0)
	}
	e.hold(delivery("t0", 5, 6, at))
	if len(e.queues) > queuesMax/2+1 || e.count != 1 {
		t.Errorf("%d queues are known, %d wait", len(e.queues), e.count)
	}
}
