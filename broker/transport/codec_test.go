package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// wired is the frame of one message as it goes over the wire.
func wired(t interface{ Fatal(...any) }, b *builder, group string, m *pb.Message) []byte {
	size := messageSize(group, m)
	if !b.room(messageRoom(group, m)) {
		t.Fatal("no room in an empty builder")
	}
	if err := b.message(group, m, size); err != nil {
		t.Fatal(err)
	}
	b.cut()
	out := bytes.Join(b.bufs, nil)
	if len(out) != size || b.size != size {
		t.Fatal("a frame of", len(out), "bytes, built", b.size, "announced", size)
	}
	b.reset()
	return out
}

// unwired takes a frame apart as a reader does.
func unwired(b []byte) (group string, m *pb.Message, err error) {
	h, err := parseHeader(b)
	if err != nil {
		return "", nil, err
	}
	if err := h.verify(b[:frameHead], b[frameHead:]); err != nil {
		return "", nil, err
	}
	m, err = decodeMessage(b[frameHead+h.group:])
	return string(b[frameHead : frameHead+h.group]), m, err
}

func drawMessage(t *rapid.T) *pb.Message {
	word := rapid.Ptr(rapid.Uint64(), true)
	data := rapid.SliceOfN(rapid.Byte(), 0, 600)
	m := &pb.Message{To: word.Draw(t, "to"), From: word.Draw(t, "from"), Term: word.Draw(t, "term"), LogTerm: word.Draw(t, "logTerm"),
		Index: word.Draw(t, "index"), Commit: word.Draw(t, "commit"), Vote: word.Draw(t, "vote"), RejectHint: word.Draw(t, "rejectHint"),
		Reject: rapid.Ptr(rapid.Bool(), true).Draw(t, "reject")}
	if rapid.Bool().Draw(t, "type") {
		m.Type = pb.MessageType(rapid.Int32Range(0, 23).Draw(t, "type value")).Enum()
	}
	if rapid.Bool().Draw(t, "context") {
		m.Context = data.Draw(t, "context bytes")
	}
	if rapid.Bool().Draw(t, "snapshot") {
		m.Snapshot = &pb.Snapshot{Data: data.Draw(t, "snapshot bytes"), Metadata: &pb.SnapshotMetadata{Index: word.Draw(t, "snapshot index")}}
	}
	for range rapid.IntRange(0, 5).Draw(t, "entries") {
		e := &pb.Entry{Term: word.Draw(t, "entry term"), Index: word.Draw(t, "entry index")}
		if rapid.Bool().Draw(t, "entry type") {
			e.Type = pb.EntryType(rapid.Int32Range(0, 2).Draw(t, "entry type value")).Enum()
		}
		if rapid.Bool().Draw(t, "data") {
			e.Data = data.Draw(t, "data bytes")
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	b := newBuilder()
	rapid.Check(t, func(t *rapid.T) {
		m, name := drawMessage(t), rapid.StringN(0, 40, groupMax).Draw(t, "group")
		group, got, err := unwired(wired(t, b, name, m))
		if err != nil || group != name || !proto.Equal(got, m) {
			t.Fatalf("%q: %v came as %q: %v, %v", name, m, group, got, err)
		}
	})
}

// Frames that share a writev are the frames.
func TestFramesOfOneWriteAreWhole(t *testing.T) {
	b := newBuilder()
	var want []*pb.Message
	for i := range uint64(50) {
		m := appending(1, 2, i, make([]byte, i*20), nil, []byte("x"))
		if !b.room(messageRoom("g", m)) {
			t.Fatal("no room")
		}
		if err := b.message("g", m, messageSize("g", m)); err != nil {
			t.Fatal(err)
		}
		want = append(want, m)
	}
	b.cut()
	rest := bytes.Join(b.bufs, nil)
	for i, m := range want {
		n := frameHead + int(binary.LittleEndian.Uint32(rest))
		_, got, err := unwired(rest[:n])
		if err != nil || !proto.Equal(got, m) {
			t.Fatalf("message %d: %v, %v", i, got, err)
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

// Data that are copied to the headers have room there, however many they are.
func TestManySmallEntriesStayWhole(t *testing.T) {
	b := newBuilder()
	for _, size := range []int{1, 100, inlineMax, inlineMax + 1} {
		datas := make([][]byte, 5000)
		for i := range datas {
			datas[i] = bytes.Repeat([]byte{byte(i)}, size)
		}
		m := appending(1, 2, 3, datas...)
		m.Context = datas[7]
		m.Snapshot = &pb.Snapshot{Data: datas[8]}
		if _, got, err := unwired(wired(t, b, "g", heartbeat(1, 2, 3))); err != nil || got.GetTerm() != 3 {
			t.Fatal(got, err)
		}
		if _, got, err := unwired(wired(t, b, "g", m)); err != nil || !proto.Equal(got, m) {
			t.Fatalf("entries of %d bytes: %v", size, err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	b := newBuilder()
	frame := wired(t, b, "group", appending(1, 2, 3, []byte("data"), bytes.Repeat([]byte("x"), 300)))
	for i := range len(frame) * 8 {
		bad := bytes.Clone(frame)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := unwired(bad); err == nil {
			t.Fatalf("bit %d of byte %d is not noticed", i%8, i/8)
		}
	}
}

// Entries keep slices of the one buffer that was read, and adding to one does not write into the next.
func TestEntriesShareTheBuffer(t *testing.T) {
	b := newBuilder()
	frame := wired(t, b, "g", appending(1, 2, 3, []byte("one"), []byte("two")))
	_, m, err := unwired(frame)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(frame, []byte("two"))
	if &m.Entries[1].Data[0] != &frame[at] {
		t.Error("data were copied")
	}
	_ = append(m.Entries[0].Data, bytes.Repeat([]byte("!"), 30)...)
	if string(m.Entries[1].Data) != "two" || m.Entries[1].GetIndex() != 5 {
		t.Errorf("second entry is %v", m.Entries[1])
	}
}

// The bytes of version 1 do not change.
func TestFrameIsPinned(t *testing.T) {
	b := newBuilder()
	m := appending(1, 2, 0x0a0b, []byte("data"))
	want := "\x6d\x00\x00\x00\x01\x01\x00\x00" + "\xff\xff\xff\xff" + "g" +
		"\x7f\x00\x03\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x0b\x0a\x00\x00\x00\x00\x00\x00" + "\x0b\x0a\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x01\x00\x00\x00" +
		"\x0f\x00\x00\x00\x04\x00\x00\x00" + "\x03\x00\x00\x00\x00\x00\x00\x00" + "\x0c\x0a\x00\x00\x00\x00\x00\x00" + "data"
	got := wired(t, b, "g", m)
	copy(got[8:12], "\xff\xff\xff\xff") // the checksum has its own tests
	if string(got) != want {
		t.Errorf("frame is\n%q, expected\n%q", got, want)
	}
}

// What is built for a message is built in buffers that are there already.
func TestEncodingAllocatesNothing(t *testing.T) {
	b := newBuilder()
	data := make([]byte, 300_000)
	m := appending(1, 2, 3, data, data[:10], data[:4000], nil)
	one := func() {
		b.room(messageRoom("group", m))
		_ = b.message("group", m, messageSize("group", m))
		b.cut()
		b.reset()
	}
	if n := testing.AllocsPerRun(200, one); n != 0 {
		t.Errorf("%v allocations for each message", n)
	}
}

// null is a connection that takes everything.
type null struct{ net.Conn }

func (null) Write(b []byte) (int, error)      { return len(b), nil }
func (null) SetWriteDeadline(time.Time) error { return nil }

// From Send to the write nothing is allocated for each message, once the queue has grown.
func TestSendingAllocatesNothing(t *testing.T) {
	a := boot(t, options(1), defaults())
	p := &peer{t: a.Transport, id: 2, wake: make(chan struct{}, 1), groups: map[string]struct{}{},
		raft: lane{maxBytes: QueueBytes, maxMessages: QueueMessages}}
	a.peers.Store(&map[uint64]*peer{2: p})
	defer a.peers.Store(&map[uint64]*peer{})
	w := &writer{p: p, conn: null{}}
	w.b.reset()
	data := make([]byte, 100_000)
	ms := []*pb.Message{appending(1, 2, 3, data, data[:10]), heartbeat(1, 2, 3)}
	one := func() {
		a.Send("group", ms)
		if busy, err := w.work(); !busy || err != nil {
			t.Fatal(busy, err)
		}
	}
	one()
	if n := testing.AllocsPerRun(200, one); n != 0 {
		t.Errorf("%v allocations for two messages", n)
	}
}

func FuzzDecode(f *testing.F) {
	b := newBuilder()
	for _, m := range everyKind(1, 2) {
		if messageSize("", m) < 10_000 {
			f.Add(wired(f, b, "", m)[frameHead:])
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := decodeMessage(in)
		if err != nil {
			return
		}
		if len(m.Entries)*entryHead > len(in) {
			t.Fatalf("%d entries of %d bytes", len(m.Entries), len(in))
		}
		_, again, err := unwired(wired(t, b, "g", m))
		if err != nil || !proto.Equal(again, m) {
			t.Fatalf("%v became %v, %v", m, again, err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	b := newBuilder()
	f.Add(wired(f, b, "group", heartbeat(1, 2, 3)))
	f.Add(appendPing(nil, kindPing, 7))
	b.aside("group", 3, []byte("body"))
	b.cut()
	f.Add(bytes.Join(b.bufs, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < frameHead {
			return
		}
		h, err := parseHeader(in)
		if err == nil && (h.group > h.length || h.length+frameHead > FrameMax || h.kind < kindMessage || h.kind > kindPong) {
			t.Fatalf("%+v", h)
		}
		if len(in) == frameHead+pingBody {
			if clock, err := parsePing(in, kindPing); err == nil && !bytes.Equal(appendPing(nil, kindPing, clock), in) {
				t.Fatalf("ping %x is another one", in)
			}
		}
	})
}

func FuzzHello(f *testing.F) {
	id := identity{cluster: "test", node: 1, incarnation: 5}
	h := id.hello(2, forMessages)
	f.Add(h.append(nil))
	f.Add(append(h.append(nil), "rest"...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		h, err := readHello(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if !bytes.Equal(append(h.append(nil), rest...), in) {
			t.Fatalf("%x became %+v", in, h)
		}
	})
}
