package entry

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func names(t *rapid.T) (group, topic, client string) {
	return rapid.String().Draw(t, "group"), rapid.String().Draw(t, "topic"), rapid.String().Draw(t, "client")
}

func ack(t *rapid.T) PopAck {
	return PopAck{rapid.Int64().Draw(t, "start"), rapid.Int64().Draw(t, "pop"), rapid.Int64().Draw(t, "offset")}
}

// TestDeliveriesComeBack: also into a record that holds another one.
func TestDeliveriesComeBack(t *testing.T) {
	lease, acks, revive := PopLease{Offsets: []int64{}}, PopAcks{Acks: []PopAck{}}, PopRevive{Messages: []Revived{}} // lists that are empty, not nil
	var change PopChange
	rapid.Check(t, func(t *rapid.T) {
		group, topic, client := names(t)
		id, at := rapid.Int32().Draw(t, "queue"), rapid.Int64().Draw(t, "at")
		l := PopLease{
			Group: group, Topic: topic, Client: client, Attempt: rapid.String().Draw(t, "attempt"), QueueID: id, Order: rapid.Bool().Draw(t, "order"),
			From: rapid.Int64Range(0, 1<<60).Draw(t, "from"), Next: rapid.Int64().Draw(t, "next"), PopMillis: at,
			InvisibleMillis: rapid.Int64().Draw(t, "for"), Offsets: []int64{},
		}
		a := PopAcks{Group: group, Topic: topic, Client: client, QueueID: id, AtMillis: at, Acks: []PopAck{}}
		r := PopRevive{Group: group, Topic: topic, QueueID: id, Start: l.From, PopMillis: l.Next, AtMillis: at, Messages: []Revived{}}
		next, gap := l.From, rapid.SampledFrom([]int64{0, 9}).Draw(t, "gap")
		for range rapid.IntRange(0, LeaseMessagesMax).Draw(t, "messages") {
			next += rapid.Int64Range(0, gap).Draw(t, "by")
			l.Offsets = append(l.Offsets, next)
			next++
			a.Acks = append(a.Acks, ack(t))
			r.Messages = append(r.Messages, Revived{rapid.Int64().Draw(t, "offset"), PopTo(rapid.IntRange(1, 3).Draw(t, "to"))})
		}
		c := PopChange{Group: group, Topic: topic, Client: client, QueueID: id, PopAck: ack(t), AtMillis: at, InvisibleMillis: l.InvisibleMillis}
		if err := DecodePopLease(AppendPopLease(nil, &l), &lease); err != nil || !reflect.DeepEqual(lease, l) {
			t.Fatalf("%+v: %v", lease, err)
		}
		if err := DecodePopAcks(AppendPopAcks(nil, &a), &acks); err != nil || !reflect.DeepEqual(acks, a) {
			t.Fatalf("%+v: %v", acks, err)
		}
		if err := DecodePopChange(AppendPopChange(nil, &c), &change); err != nil || change != c {
			t.Fatalf("%+v: %v", change, err)
		}
		if err := DecodePopRevive(AppendPopRevive(nil, &r), &revive); err != nil || !reflect.DeepEqual(revive, r) {
			t.Fatalf("%+v: %v", revive, err)
		}
	})
}

// TestSentBacksComeBack: any number of them in one body.
func TestSentBacksComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []SentBack
		var body []byte
		for range rapid.IntRange(0, 4).Draw(t, "records") {
			group, topic, client := names(t)
			r := SentBack{
				Group: group, Topic: topic, Client: client, QueueID: rapid.Int32().Draw(t, "queue"), Offset: rapid.Int64().Draw(t, "offset"),
				AtMillis: rapid.Int64().Draw(t, "at"), To: PopTo(rapid.IntRange(1, 2).Draw(t, "to")),
			}
			all, body = append(all, r), AppendSentBack(body, &r)
		}
		n := 0
		if err := DecodeSentBacks(body, func(r *SentBack) error {
			if *r != all[n] {
				t.Fatalf("record %d: %+v, expected %+v", n, *r, all[n])
			}
			n++
			return nil
		}); err != nil || n != len(all) {
			t.Fatalf("%d of %d records: %v", n, len(all), err)
		}
	})
}

// FuzzDelivery: what is decoded is what its bytes say, and nothing else is.
func FuzzDelivery(f *testing.F) {
	f.Add(byte(0), AppendPopLease(nil, &PopLease{Group: "g", Topic: "t", Client: "c", Attempt: "a", Order: true, From: 3, Next: 9, Offsets: []int64{4, 7}}))
	f.Add(byte(0), AppendPopLease(nil, &PopLease{Group: "g", Topic: "t", From: 3, Next: 9, Offsets: []int64{3, 4}}))
	f.Add(byte(1), AppendPopAcks(nil, &PopAcks{Group: "g", Topic: "t", Client: "c", Acks: []PopAck{{1, 2, 3}, {4, 5, 6}}}))
	f.Add(byte(2), AppendPopChange(nil, &PopChange{Group: "g", Topic: "t", Client: "c", PopAck: PopAck{1, 2, 3}}))
	f.Add(byte(3), AppendPopRevive(nil, &PopRevive{Group: "g", Topic: "t", Messages: []Revived{{1, ToRetry}, {2, ToNothing}}}))
	f.Add(byte(4), AppendSentBack(nil, &SentBack{Group: "g", Topic: "t", Client: "c", Offset: 5, To: ToDeadLetter}))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		var again []byte
		var err error
		switch kind % 5 {
		case 0:
			var r PopLease
			err = DecodePopLease(b, &r)
			again = AppendPopLease(nil, &r)
		case 1:
			var r PopAcks
			err = DecodePopAcks(b, &r)
			again = AppendPopAcks(nil, &r)
		case 2:
			var r PopChange
			err = DecodePopChange(b, &r)
			again = AppendPopChange(nil, &r)
		case 3:
			var r PopRevive
			err = DecodePopRevive(b, &r)
			again = AppendPopRevive(nil, &r)
		case 4:
			err = DecodeSentBacks(b, func(r *SentBack) error { again = AppendSentBack(again, r); return nil })
		}
		if err == nil && !bytes.Equal(again, b) || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%d: %v, %x", kind%5, err, again)
		}
	})
}
