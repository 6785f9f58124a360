package message

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var host4, host6 = netip.MustParseAddrPort("10.1.2.3:10911"), netip.MustParseAddrPort("[2001:db8::7]:10911")

// TestStoredFormComesBack: every field of a draft is read again from its stored form, with IPv4 and IPv6, short and long topics.
func TestStoredFormComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.SampledFrom([]netip.AddrPort{host4, host6})
		run := AppendProperty(nil, "K", rapid.StringMatching(`[a-z0-9 ]{0,40}`).Draw(t, "value"))
		if rapid.Bool().Draw(t, "open") {
			run = run[:len(run)-1] // the last separator may be missing
		}
		d := Draft{
			Topic: []byte(rapid.StringMatching(`[a-zA-Z0-9_-]{1,200}`).Draw(t, "topic")), Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
			Properties: run, More: AppendProperty(nil, "CLUSTER", "c"), QueueID: rapid.Int32().Draw(t, "queue"), Flag: rapid.Int32().Draw(t, "flag"),
			SysFlag: int32(rapid.IntRange(0, 0x7ff).Draw(t, "sys")), BornTime: rapid.Int64().Draw(t, "born"), BornHost: host.Draw(t, "bornHost"),
			StoreHost: host.Draw(t, "storeHost"), ReconsumeTimes: rapid.Int32().Draw(t, "reconsume"), PreparedOffset: rapid.Int64().Draw(t, "prepared"),
		}
		b := Append(nil, &d)
		v, err := Parse(append(b, "what follows"...))
		if err != nil {
			t.Fatal(err)
		}
		Place(v, 3, 77, 123456, 1700000000123)
		if string(v.Topic()) != string(d.Topic) || !bytes.Equal(v.Body(), d.Body) || v.Flag() != d.Flag || v.BornTime() != d.BornTime ||
			v.BornHost() != d.BornHost || v.StoreHost() != d.StoreHost || v.ReconsumeTimes() != d.ReconsumeTimes || v.PreparedOffset() != d.PreparedOffset {
			t.Fatalf("%+v came back as %q %v %v", d, v.Topic(), v.BornHost(), v.StoreHost())
		}
		if v.QueueID() != 3 || v.QueueOffset() != 77 || v.Position() != 123456 || v.StoreTime() != 1700000000123 {
			t.Fatal("what Place wrote is not read")
		}
		if got := PropertyMap(v.Properties()); got["CLUSTER"] != "c" || got["K"] != string(Property(d.Properties, "K")) {
			t.Fatalf("properties %q", v.Properties())
		}
	})
}

func TestOffsetIDs(t *testing.T) {
	for _, h := range []netip.AddrPort{host4, host6} {
		id := string(AppendOffsetID(nil, h, 0x1F2E))
		got, position, err := ParseOffsetID(id)
		if err != nil || got != h || position != 0x1F2E || strings.ToUpper(id) != id {
			t.Fatalf("%s: %v %d %v", id, got, position, err)
		}
	}
	if id := string(AppendOffsetID(nil, host4, 1)); id != "0A01020300002A9F0000000000000001" {
		t.Fatal(id)
	}
	for _, bad := range []string{"", "xyz", "0A01", strings.Repeat("A", 33), strings.Repeat("G", 32)} {
		if _, _, err := ParseOffsetID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestTagHash has values of Java's String.hashCode.
func TestTagHash(t *testing.T) {
	for tag, want := range map[string]int32{"": 0, "TagA": 2598919, "a": 97, "中文": 646394, "😀": 1772899, "a-very-long-tag-name-that-overflows": -784923820} {
		if got := TagHash([]byte(tag)); got != want {
			t.Errorf("%q: %d, Java has %d", tag, got, want)
		}
	}
}

// FuzzParse: whatever the bytes, a message that parses has all its parts inside them.
func FuzzParse(f *testing.F) {
	d := Draft{Topic: []byte("orders"), Body: []byte("x"), Properties: AppendProperty(nil, "K", "v"), BornHost: host4, StoreHost: host6}
	f.Add(Append(nil, &d))
	d.Topic = bytes.Repeat([]byte("t"), 200)
	f.Add(Append(nil, &d))
	f.Add(make([]byte, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if err != nil {
			return
		}
		n := len(v.Topic()) + len(v.Body()) + len(v.Properties())
		if n >= len(v) || len(v) > len(b) {
			t.Fatalf("parts of %d bytes in a message of %d, of %d", n, len(v), len(b))
		}
		v.BornHost()
		v.StoreHost()
		PropertyMap(v.Properties())
	})
}
