package canon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestValuesComeBack: what is appended is read, and nothing is left.
func TestValuesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, i, s := rapid.Uint64().Draw(t, "u"), rapid.Int64().Draw(t, "i"), rapid.String().Draw(t, "s")
		b := AppendName(binary.AppendVarint(binary.AppendUvarint(nil, u), i), s)
		r := NewReader(b)
		if gu, gi, gs := r.Uint(), r.Int(), r.Name(); gu != u || gi != i || gs != s || r.End() != nil {
			t.Fatalf("%d %d %q: %v", gu, gi, gs, r.End())
		}
	})
}

// TestRefused: the bytes, and how each is read.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		read func(*Reader)
	}{
		"nothing":                  {nil, func(r *Reader) { r.Uint() }},
		"longer than it must be":   {[]byte{0x80, 0x00}, func(r *Reader) { r.Uint() }},
		"more than 64 bits":        {bytes.Repeat([]byte{0xFF}, 10), func(r *Reader) { r.Int() }},
		"above the limit":          {[]byte{9}, func(r *Reader) { r.Upto(8, "it") }},
		"more than there is":       {[]byte{9, 0}, func(r *Reader) { r.Count(1, "things") }},
		"a name that is cut":       {[]byte{2, 'a'}, func(r *Reader) { r.Name() }},
		"names out of order":       {[]byte{2, 1, 'b', 1, 'a'}, func(r *Reader) { r.Names("names") }},
		"equal names":              {[]byte{2, 1, 'a', 1, 'a'}, func(r *Reader) { r.Names("names") }},
		"something behind the end": {[]byte{1, 1}, func(r *Reader) { r.Uint() }},
		"another after the first":  {[]byte{9}, func(r *Reader) { r.Failf("first"); r.Uint() }},
	} {
		r := NewReader(c.b)
		c.read(r)
		if err := r.End(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
