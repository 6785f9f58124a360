package entry

import (
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/message"
)

var host = netip.MustParseAddrPort("10.1.2.3:10911")

func stored(body string) []byte {
	return message.Append(nil, &message.Draft{Topic: []byte("orders"), Body: []byte(body), BornHost: host, StoreHost: host})
}

// payload is commands and messages as a shard forms them.
func payload(commands []Offset, bodies []string) []byte {
	var b Builder
	for i := range commands {
		b.Command(KindOffsets, AppendOffset(nil, &commands[i]))
	}
	out := b.Start(nil, 1234, len(bodies))
	for i, body := range bodies {
		b.SetOrigin(out, i, Origin{ProducerRef: uint32(i + 1), WaitedMicros: 7})
		out = append(out, stored(body)...)
	}
	return out
}

func TestPayloadComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var commands []Offset
		for range rapid.IntRange(0, 5).Draw(t, "commands") {
			commands = append(commands, Offset{
				Group: rapid.String().Draw(t, "group"), Topic: "orders", Client: "c", QueueID: rapid.Int32().Draw(t, "queue"),
				Offset: rapid.Int64().Draw(t, "offset"), AtMicros: rapid.Int64().Draw(t, "at"),
			})
		}
		bodies := rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "bodies")
		b, err := Decode(payload(commands, bodies))
		if err != nil || b.NowMicros != 1234 || b.MessageCount != len(bodies) {
			t.Fatalf("%+v %v", b, err)
		}
		n := 0
		err = b.Commands(func(k Kind, body []byte) error {
			return DecodeOffsets(body, func(o *Offset) error {
				if k != KindOffsets || *o != commands[n] {
					t.Fatalf("command %d: %+v, expected %+v", n, o, commands[n])
				}
				n++
				return nil
			})
		})
		if err != nil || n != len(commands) {
			t.Fatalf("%d of %d commands: %v", n, len(commands), err)
		}
		n = 0
		err = b.Messages(func(_ int, v message.View, o Origin) error {
			if string(v.Body()) != bodies[n] || o.ProducerRef != uint32(n+1) || o.WaitedMicros != 7 {
				t.Fatalf("message %d: %q from %+v", n, v.Body(), o)
			}
			n++
			return nil
		})
		if err != nil || n != len(bodies) {
			t.Fatalf("%d of %d messages: %v", n, len(bodies), err)
		}
	})
}

func TestProducerComesBack(t *testing.T) {
	p := Producer{Ref: 9, Group: "g", ClientID: "c@1", Addr: "1.2.3.4:5", Language: "JAVA", Version: "V5_5_0", Protocol: "remoting"}
	if got, err := DecodeProducer(AppendProducer(nil, &p)); err != nil || got != p {
		t.Fatalf("%+v %v", got, err)
	}
}

// FuzzDecode: malformed bytes give an error, never a panic.
func FuzzDecode(f *testing.F) {
	f.Add(payload(nil, nil))
	f.Add(payload([]Offset{{Group: "g", Topic: "t"}}, []string{"x", "y"}))
	f.Add([]byte{Version})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		_ = b.Commands(func(k Kind, body []byte) error {
			if k == KindProducer {
				_, err := DecodeProducer(body)
				return err
			}
			return DecodeOffsets(body, func(*Offset) error { return nil })
		})
		_ = b.Messages(func(_ int, v message.View, _ Origin) error { v.Properties(); return nil })
	})
}
