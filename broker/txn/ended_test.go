package txn

import (
	"net/netip"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

func storedHalf(t *testing.T, offset int64, props ...string) message.View {
	t.Helper()
	var run []byte
	for i := 0; i < len(props); i += 2 {
		run = message.AppendProperty(run, props[i], props[i+1])
	}
	host := netip.MustParseAddrPort("10.0.0.1:10911")
	b := message.Append(nil, &message.Draft{
		Topic: []byte(HalfTopic), Body: []byte("paid"), Properties: run, SysFlag: message.FlagTxMask & 4, BornTime: 7, BornHost: host, StoreHost: host,
	})
	message.Place(b, 0, offset, 4711, 8)
	v, err := message.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A committed half message becomes the message that its producer sent; one that was given up stays what it is, elsewhere.
func TestWhatAHalfMessageBecomes(t *testing.T) {
	v := storedHalf(t, 5, message.PropTranMsg, "true", message.PropKeys, "k", message.PropRealTopic, "orders", message.PropRealQueueID, "3")
	d, err := Ended(v, entry.TxnCommit)
	if err != nil {
		t.Fatal(err)
	}
	if run := message.PropertyMap(d.Properties); string(d.Topic) != "orders" || d.QueueID != 3 || d.PreparedOffset != 5 || d.SysFlag != message.FlagTxCommit || len(run) != 1 || run[message.PropKeys] != "k" {
		t.Errorf("committed: %s queue %d, prepared %d, flags %d, %v", d.Topic, d.QueueID, d.PreparedOffset, d.SysFlag, run)
	}
	d, err = Ended(v, entry.TxnParked)
	if run := message.PropertyMap(d.Properties); err != nil || string(d.Topic) != ParkTopic || d.QueueID != 0 || d.PreparedOffset != 5 || d.SysFlag != 0 || run[message.PropRealTopic] != "orders" {
		t.Errorf("given up: %s queue %d, prepared %d, flags %d, %v: %v", d.Topic, d.QueueID, d.PreparedOffset, d.SysFlag, run, err)
	}
}

// A half message that does not say where it belongs cannot be committed; it can be given up.
func TestAHalfMessageWithoutItsTopic(t *testing.T) {
	for _, props := range [][]string{{}, {message.PropRealTopic, "orders"}, {message.PropRealQueueID, "1"}, {message.PropRealTopic, "orders", message.PropRealQueueID, "first"}} {
		v := storedHalf(t, 0, props...)
		if _, err := Ended(v, entry.TxnCommit); err == nil {
			t.Errorf("%q is committed", props)
		}
		if _, err := Ended(v, entry.TxnParked); err != nil {
			t.Errorf("%q: %v", props, err)
		}
	}
}

// A half message is given up because of its age: when the leader's clock steps back between the decision and the entry, it waits on (seed 710599:
// it was given up at an age of 7.8 s where 10 s are the limit). One that was asked about often enough does not wait for its age.
func TestAClockThatStepsBackGivesUpNothing(t *testing.T) {
	table, s := New(), DefaultSettings()
	h := HalfOf(storedHalf(t, 0, message.PropRealTopic, "orders", message.PropRealQueueID, "1"))
	if err := table.Put(&h); err != nil {
		t.Fatal(err)
	}
	w := s.GiveUp(&h)
	late := h.StoredMillis + s.MaxAgeMillis
	if _, _, err := table.CanEnd(late-1, 0, w); err == nil {
		t.Error("given up before its time")
	}
	if _, _, err := table.CanEnd(late, 0, w); err != nil {
		t.Error(err)
	}
	h.Checks = s.ChecksMax
	if _, _, err := table.CanEnd(h.StoredMillis+1, 0, s.GiveUp(&h)); err != nil {
		t.Error(err)
	}
}
