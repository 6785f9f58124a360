package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func decode(t *testing.T, b []byte) *Frame {
	t.Helper()
	frame, rest, _, err := Split(b)
	if err != nil || frame == nil || len(rest) != 0 {
		t.Fatalf("split: %v, %d left", err, len(rest))
	}
	f := &Frame{}
	if err := f.Decode(frame); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestBothFormsComeBack: what is written is read again, in JSON and in binary, with any text in the fields.
func TestBothFormsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]uint8{JSON, Binary}).Draw(t, "type")
		remark, value := rapid.String().Draw(t, "remark"), rapid.String().Draw(t, "value")
		n, body := rapid.Int64().Draw(t, "n"), rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		code := rapid.Int32Range(0, 32767).Draw(t, "code")
		w := Response(nil, typ, 77, code, remark)
		w.Int("number", n)
		w.String("text", value)
		b := append(w.End(len(body)), body...)
		frame, _, _, err := Split(b)
		if err != nil {
			t.Fatal(err)
		}
		var f Frame
		if err := f.Decode(frame); err != nil {
			t.Fatal(err)
		}
		got, err := f.Int("number", 0)
		if err != nil || got != n || f.String("text") != value || string(f.Remark) != remark || f.Code != code || f.Opaque != 77 || !f.Response() || !bytes.Equal(f.Body, body) {
			t.Fatalf("%+v: number %d %v", f, got, err)
		}
	})
}

// TestJavaClientsHeader is a header as the Java client 4.9.8 writes it.
func TestJavaClientsHeader(t *testing.T) {
	header := `{"code":310,"extFields":{"a":"pg","b":"orders","i":"UNIQ_KEY\u0001AC1100\u0002TAGS\u0001a\u0002","e":"3"},"flag":0,"language":"JAVA","opaque":12,"serializeTypeCurrentRPC":"JSON","version":409}`
	b := append([]byte{0, 0, 0, byte(4 + len(header) + 2), 0, 0, 0, byte(len(header))}, header...)
	f := decode(t, append(b, "hi"...))
	q, err := f.Int("e", 0)
	if f.Code != 310 || f.String("i") != "UNIQ_KEY\x01AC1100\x02TAGS\x01a\x02" || q != 3 || err != nil || string(f.Body) != "hi" || f.LanguageName() != "JAVA" || VersionName(f.Version) != "V4_9_8" {
		t.Fatalf("%+v", f)
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"length 0":             {0, 0, 0, 0},
		"length 1":             {0, 0, 0, 1, 0},
		"length 3":             {0, 0, 0, 3, 0, 0, 0},
		"negative length":      {0x80, 0, 0, 0},
		"length -1":            {0xff, 0xff, 0xff, 0xff},
		"length over the max":  {1, 0, 0, 1},
		"header longer":        {0, 0, 0, 4, 0, 0, 0, 9},
		"header negative":      {0, 0, 0, 4, 0, 0x80, 0, 0},
		"serialize type 2":     {0, 0, 0, 4, 2, 0, 0, 0},
		"serialize type 255":   {0, 0, 0, 4, 255, 0, 0, 0},
		"empty JSON header":    {0, 0, 0, 4, 0, 0, 0, 0},
		"empty binary header":  {0, 0, 0, 4, 1, 0, 0, 0},
		"header over 64 KiB":   append([]byte{0, 2, 0, 4, 0, 2, 0, 0}, make([]byte, 0x20000)...),
		"trailing garbage":     jsonFrame(`{"code":1} x`),
		"nested 10000":         jsonFrame(`{"x":` + strings.Repeat("[", 10000) + `}`),
		"opaque 2^63":          jsonFrame(`{"opaque":9223372036854775808}`),
		"float code":           jsonFrame(`{"code":1.5}`),
		"unfinished string":    jsonFrame(`{"remark":"abc`),
		"129 fields":           jsonFrame(`{"extFields":{` + strings.Repeat(`"a":"b",`, 128) + `"a":"b"}}`),
		"binary ext length -1": {0, 0, 0, 25, 1, 0, 0, 21, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
	} {
		frame, _, _, err := Split(b)
		if err == nil && frame != nil {
			err = new(Frame).Decode(frame)
		}
		if !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func jsonFrame(header string) []byte {
	n := len(header)
	return append([]byte{byte((n + 4) >> 24), byte((n + 4) >> 16), byte((n + 4) >> 8), byte(n + 4), 0, byte(n >> 16), byte(n >> 8), byte(n)}, header...)
}

func FuzzDecode(f *testing.F) {
	w := Response(nil, JSON, 1, 10, "r")
	w.String("a", "b\u0001")
	f.Add(w.End(0)[4:])
	w = Response(nil, Binary, 1, 10, "r")
	w.Int("a", 5)
	f.Add(w.End(0)[4:])
	f.Add(jsonFrame(`{"a":[1,{"b":null},"\ud83d\ude00"],"extFields":null}`)[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr Frame
		if err := fr.Decode(b); err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		for _, field := range fr.Fields {
			fr.Get(string(field.Name))
		}
	})
}

func TestDecodeAndAnswerAllocateNothing(t *testing.T) {
	for _, typ := range []uint8{JSON, Binary} {
		w := Request(nil, typ, 1, SendMessageV2)
		w.String("b", "orders")
		w.String("i", "UNIQ_KEY\x01AC1100\x02TAGS\x01a\x02")
		b := w.End(0)[4:]
		var f Frame
		out := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(1000, func() {
			if err := f.Decode(b); err != nil {
				t.Fatal(err)
			}
			w := Response(out, f.Type, f.Opaque, 0, "")
			w.Int("queueId", 3)
			w.Bytes("transactionId", f.Get("b"))
			_ = w.End(0)
		}); n != 0 {
			t.Errorf("type %d: %.1f allocations", typ, n)
		}
	}
}

// TestForwardedFrameIsTheSame: what goes on has the client's code, flags, language, version and fields, whichever form it came in.
func TestForwardedFrameIsTheSame(t *testing.T) {
	header := `{"code":310,"flag":2,"language":"CPP","opaque":5,"version":433,"extFields":{"i":"a\u0001b\"","n":7,"gone":null,"e":""}}`
	raw := append([]byte{0, 0, 0, byte(len(header))}, header...)
	var f, got Frame
	if err := f.Decode(append(raw, "body"...)); err != nil {
		t.Fatal(err)
	}
	w := Forward([]byte("before"), &f, 9)
	w.String("more", "x")
	b := append(w.End(len(f.Body)), f.Body...)[len("before"):]
	if n := binary.BigEndian.Uint32(b[OpaqueAt:]); n != 9 {
		t.Fatalf("number %d", n)
	}
	frame, rest, _, err := Split(b)
	if err != nil || len(rest) > 0 {
		t.Fatal(len(rest), err)
	}
	if err := got.Decode(frame); err != nil {
		t.Fatal(err)
	}
	if got.Type != Binary || got.Code != 310 || got.Opaque != 9 || got.Flag != 2 || got.LanguageName() != "CPP" || got.Version != 433 || string(got.Body) != "body" {
		t.Fatalf("%+v", got)
	}
	if got.String("i") != "a\x01b\"" || got.String("n") != "7" || got.Get("gone") != nil || got.Get("e") == nil || got.String("more") != "x" {
		t.Fatalf("%q", got.Fields)
	}
	w = Forward(nil, &got, 10) // and on, from the binary form
	if err := f.Decode(w.End(0)[4:]); err != nil || f.LanguageName() != "CPP" || f.String("i") != "a\x01b\"" {
		t.Fatalf("%v %+v", err, f)
	}
}
