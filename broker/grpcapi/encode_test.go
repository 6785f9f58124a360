package grpcapi

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"net/netip"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/contrailmq/contrail/broker/message"
)

// stored is a message as the log has it.
func stored(topic, body string, sysFlag int32, properties ...string) message.View {
	d := message.Draft{
		Topic: []byte(topic), Body: []byte(body), SysFlag: sysFlag, BornTime: 1_700_000_000_123, ReconsumeTimes: 2,
		BornHost: netip.MustParseAddrPort("10.0.0.1:1234"), StoreHost: netip.MustParseAddrPort("10.0.0.2:10911"),
	}
	for i := 0; i < len(properties); i += 2 {
		d.Properties = message.AppendProperty(d.Properties, properties[i], properties[i+1])
	}
	b := message.Append(nil, &d)
	message.Place(b, 3, 77, 4096, 1_700_000_001_000)
	return b
}

func zipped(t *testing.T, text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestStoredMessagesAsClientsGetThem: what a stored message is on the wire, read by protobuf's own decoder.
func TestStoredMessagesAsClientsGetThem(t *testing.T) {
	at := func(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }
	plain := func() *pb.Message {
		return &pb.Message{Topic: &pb.Resource{Name: "orders"}, Body: []byte("hello"), SystemProperties: &pb.SystemProperties{
			MessageId: "ID1", BodyDigest: &pb.Digest{Type: pb.DigestType_MD5, Checksum: "5D41402ABC4B2A76B9719D911017C592"}, BodyEncoding: pb.Encoding_IDENTITY, MessageType: pb.MessageType_NORMAL,
			BornTimestamp: at(1_700_000_000_123), BornHost: "10.0.0.1", StoreTimestamp: at(1_700_000_001_000), StoreHost: "10.0.0.2:10911", QueueId: 3, QueueOffset: proto.Int64(77), DeliveryAttempt: proto.Int32(3),
		}}
	}
	with := func(f func(m *pb.Message, sp *pb.SystemProperties)) *pb.Message {
		m := plain()
		f(m, m.SystemProperties)
		return m
	}
	id := []string{"UNIQ_KEY", "ID1"}
	for name, c := range map[string]struct {
		v    message.View
		want *pb.Message
	}{
		"plain":     {stored("orders", "hello", 0, id...), plain()},
		"no id":     {stored("orders", "hello", 0), with(func(_ *pb.Message, sp *pb.SystemProperties) { sp.MessageId = "0A00000200002A9F0000000000001000" })},
		"namespace": {stored("shop%orders", "hello", 0, id...), with(func(m *pb.Message, _ *pb.SystemProperties) { m.Topic.ResourceNamespace = "shop" })},
		"retry topic": {stored("%RETRY%g", "hello", 0, id...), with(func(m *pb.Message, _ *pb.SystemProperties) {
			m.Topic.Name = "%RETRY%g"
		})},
		"what the producer said": {
			stored("orders", "hello", 0, "UNIQ_KEY", "ID1", "TAGS", "t", "KEYS", "k1 k2", "mine", "1", "__BORNHOST", "web-7", "TRACE_CONTEXT", "00-a-b-01", "WAIT", "true", "mine", "2", "empty", ""),
			with(func(m *pb.Message, sp *pb.SystemProperties) {
				sp.Tag, sp.Keys, sp.BornHost, sp.TraceContext = proto.String("t"), []string{"k1", "k2"}, "web-7", proto.String("00-a-b-01")
				m.UserProperties = map[string]string{"mine": "2", "empty": ""}
			}),
		},
		"in order": {stored("orders", "hello", 0, "UNIQ_KEY", "ID1", "__SHARDINGKEY", "user-1"), with(func(m *pb.Message, sp *pb.SystemProperties) {
			sp.MessageType, sp.MessageGroup = pb.MessageType_FIFO, proto.String("user-1")
			m.UserProperties = map[string]string{"__SHARDINGKEY": "user-1"}
		})},
		"scheduled": {stored("orders", "hello", 0, "UNIQ_KEY", "ID1", "TIMER_DELIVER_MS", "1700000005001"), with(func(_ *pb.Message, sp *pb.SystemProperties) {
			sp.MessageType, sp.DeliveryTimestamp = pb.MessageType_DELAY, at(1_700_000_005_001)
		})},
		"half": {stored("orders", "hello", message.FlagTxPrepared, id...), with(func(_ *pb.Message, sp *pb.SystemProperties) { sp.MessageType = pb.MessageType_TRANSACTION })},
		"dead": {stored("%DLQ%g", "hello", 0, "UNIQ_KEY", "ID1", "DLQ_ORIGIN_TOPIC", "orders", "DLQ_ORIGIN_MESSAGE_ID", "ID0"), with(func(m *pb.Message, sp *pb.SystemProperties) {
			m.Topic.Name, sp.DeadLetterQueue = "%DLQ%g", &pb.DeadLetterQueue{Topic: "orders", MessageId: "ID0"}
		})},
		"not UTF-8": {stored("orders", "hello", 0, "UNIQ_KEY", "ID1", "mine", "a\xff\xfeb", "TAGS", "\x80"), with(func(m *pb.Message, sp *pb.SystemProperties) {
			m.UserProperties, sp.Tag = map[string]string{"mine": "a\uFFFDb"}, proto.String("\uFFFD")
		})},
		"of a remoting client that compresses": {stored("orders", zipped(t, "hello"), message.FlagCompressed, id...), plain()},
		"of one that compresses otherwise": {stored("orders", "not zlib", message.FlagCompressed, id...), with(func(m *pb.Message, sp *pb.SystemProperties) {
			m.Body, sp.BodyDigest.Checksum = []byte("not zlib"), "F40204212EE5D7DA3151A7D15BAD5EAC"
		})},
		"empty": {stored("orders", "", 0, id...), with(func(m *pb.Message, sp *pb.SystemProperties) {
			m.Body, sp.BodyDigest.Checksum = nil, "D41D8CD98F00B204E9800998ECF8427E"
		})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := messageOf(c.v)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, c.want) {
				t.Errorf("got  %s\nwant %s", prototext.Format(got), prototext.Format(c.want))
			}
		})
	}
	zip := gzipped(t, "hello")
	if m, err := messageOf(stored("orders", zip, message.FlagCompressed)); err != nil || m.SystemProperties.BodyEncoding != pb.Encoding_GZIP || string(m.Body) != zip {
		t.Errorf("gzip passes through: %v %v", m, err)
	}
}

// TestReceivedIsWhatTheLibraryWouldSend: the stream's answers, with the receipt and the time of the lease, one encoder for all of them.
func TestReceivedIsWhatTheLibraryWouldSend(t *testing.T) {
	var e encoder
	c := newCodec()
	for _, v := range []message.View{stored("orders", "hello", 0, "UNIQ_KEY", "ID1", "KEYS", "k"), stored("%RETRY%g", "x", 0), stored("orders", "hello again", 0, "mine", "1")} {
		b, err := c.Marshal(e.received(v, &delivered{receipt: []byte("r-1"), invisible: 90_500 * time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		got := &pb.ReceiveMessageResponse{}
		if err := c.Unmarshal(b, got); err != nil {
			t.Fatal(err)
		}
		m, err := messageOf(v)
		if err != nil {
			t.Fatal(err)
		}
		m.SystemProperties.ReceiptHandle, m.SystemProperties.InvisibleDuration = proto.String("r-1"), durationpb.New(90_500*time.Millisecond)
		if want := (&pb.ReceiveMessageResponse{Content: &pb.ReceiveMessageResponse_Message{Message: m}}); !proto.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", prototext.Format(got), prototext.Format(want))
		}
		b.Free()
	}
}

// TestDigestIsWhatTheSDKReads: upper-case digits without leading zeros for Java and the newer Go, MD5 for all others.
func TestDigestIsWhatTheSDKReads(t *testing.T) {
	for sdk, want := range map[[2]string]bool{
		{"JAVA", "5.0.0"}: true, {"JAVA", "5.1.0"}: true, {"GO", "5.1.4"}: true, {"GO", "5.0.1-rc1"}: false, {"GO", ""}: false, {"RUST", "5.0.0"}: false, {"PYTHON", "5.1.2"}: false, {"", ""}: false,
	} {
		if readsCRC32(sdk[0], sdk[1]) != want {
			t.Errorf("%v: expected %v", sdk, want)
		}
	}
	var e encoder
	for body, want := range map[string]string{"foobar": "9EF61F95", "": "0", "33": "A6216D9"} {
		head, _ := e.message(stored("orders", body, 0), &delivered{crc32: true})
		m := &pb.Message{}
		if err := (proto.UnmarshalOptions{}).Unmarshal(append(head, body...), m); err != nil {
			t.Fatal(err)
		}
		if d := m.GetSystemProperties().GetBodyDigest(); d.GetType() != pb.DigestType_CRC32 || d.GetChecksum() != want {
			t.Errorf("%q: %v, expected %s", body, d, want)
		}
	}
}

// TestReceivedAllocates: a message that is streamed costs the slice and the handle that the library wants, a small one, too.
func TestReceivedAllocates(t *testing.T) {
	var e encoder
	c := newCodec()
	for _, size := range []int{0, 100, 1024, 10_000} {
		v := stored("orders", string(make([]byte, size)), 0, "UNIQ_KEY", "ID1", "TAGS", "t", "mine", "1")
		for _, crc := range []bool{false, true} {
			d := &delivered{receipt: []byte("r-1"), invisible: time.Minute, crc32: crc}
			if n := testing.AllocsPerRun(100, func() {
				b, err := c.Marshal(e.received(v, d))
				if err != nil {
					t.Fatal(err)
				}
				b.Free()
			}); n > 3 {
				t.Errorf("%d bytes, crc32 %v: %v allocations", size, crc, n)
			}
		}
	}
}

// FuzzStoredMessage: whatever is stored, clients can decode it.
func FuzzStoredMessage(f *testing.F) {
	f.Add("orders", "hello", int32(0), []byte("UNIQ_KEY\x01ID1\x02TAGS\x01t\x02"))
	f.Add("%RETRY%g", "", int32(message.FlagCompressed), []byte("KEYS\x01a b\x02\x01\x02TIMER_DELIVER_MS\x01-1\x02"))
	f.Fuzz(func(t *testing.T, topic, text string, sysFlag int32, properties []byte) {
		if len(topic) > 255 || len(properties) >= message.MaxProperties {
			return
		}
		b := message.Append(nil, &message.Draft{Topic: []byte(topic), Body: []byte(text), SysFlag: sysFlag, Properties: properties})
		if m, err := messageOf(b); err != nil || m.GetSystemProperties().GetMessageId() == "" {
			t.Fatalf("%v %v", m, err)
		}
	})
}
