package wire

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

const depthMax = 16 // nesting of members that are skipped

// decodeJSON reads the header object. Unknown members are skipped; ext field values may be strings, numbers, booleans or null.
func (f *Frame) decodeJSON(b []byte) error {
	p := parser{b: b, f: f}
	err := p.object(func(name []byte) error {
		switch string(name) {
		case "code":
			return p.number(&f.Code)
		case "version":
			return p.number(&f.Version)
		case "opaque":
			return p.number(&f.Opaque)
		case "flag":
			return p.number(&f.Flag)
		case "language":
			return p.scalar(&f.Language)
		case "remark":
			return p.scalar(&f.Remark)
		case "extFields":
			return p.extFields()
		}
		return p.skip(0)
	})
	if err != nil {
		return err
	}
	if p.space(); p.at != len(b) {
		return p.bad("end of the header")
	}
	return nil
}

func (p *parser) extFields() error {
	if p.space(); p.null() {
		return nil
	}
	return p.object(func(name []byte) error {
		if len(p.f.Fields) == FieldsMax {
			return fmt.Errorf("%w: more than %d ext fields", ErrFrame, FieldsMax)
		}
		field := Field{Name: name}
		err := p.scalar(&field.Value)
		p.f.Fields = append(p.f.Fields, field)
		return err
	})
}

type parser struct {
	b  []byte
	at int
	f  *Frame
}

func (p *parser) bad(want string) error {
	return fmt.Errorf("%w: JSON header: expected %s at byte %d of %d", ErrFrame, want, p.at, len(p.b))
}

func (p *parser) space() {
	for p.at < len(p.b) {
		switch p.b[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) next(c byte) bool {
	p.space()
	if p.at < len(p.b) && p.b[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) null() bool {
	if bytes.HasPrefix(p.b[p.at:], []byte("null")) {
		p.at += 4
		return true
	}
	return false
}

// object calls member with each name, standing before its value.
func (p *parser) object(member func(name []byte) error) error {
	if !p.next('{') {
		return p.bad("{")
	}
	if p.next('}') {
		return nil
	}
	for {
		p.space()
		name, err := p.string()
		if err != nil {
			return err
		}
		if !p.next(':') {
			return p.bad(":")
		}
		if err := member(name); err != nil {
			return err
		}
		if p.next('}') {
			return nil
		}
		if !p.next(',') {
			return p.bad(", or }")
		}
	}
}

// scalar reads a string, or the text of a number or boolean; null gives nil.
func (p *parser) scalar(into *[]byte) error {
	p.space()
	if p.at < len(p.b) && p.b[p.at] == '"' {
		var err error
		*into, err = p.string()
		return err
	}
	if p.null() {
		*into = nil
		return nil
	}
	from := p.at
	for p.at < len(p.b) && p.b[p.at] != ',' && p.b[p.at] != '}' && p.b[p.at] > ' ' && p.b[p.at] != '{' && p.b[p.at] != '[' {
		p.at++
	}
	if from == p.at {
		return p.bad("a value")
	}
	*into = p.b[from:p.at]
	return nil
}

func (p *parser) number(into *int32) error {
	var text []byte
	if err := p.scalar(&text); err != nil {
		return err
	}
	n, err := ParseInt("header", text)
	if err != nil || n != int64(int32(n)) {
		return p.bad("a 32-bit number")
	}
	*into = int32(n)
	return nil
}

// string reads a JSON string; without escapes it aliases the input.
func (p *parser) string() ([]byte, error) {
	if p.at >= len(p.b) || p.b[p.at] != '"' {
		return nil, p.bad("a string")
	}
	p.at++
	from := p.at
	for p.at < len(p.b) {
		switch c := p.b[p.at]; {
		case c == '"':
			p.at++
			return p.b[from : p.at-1 : p.at-1], nil
		case c == '\\':
			return p.escaped(from)
		}
		p.at++
	}
	return nil, p.bad("the end of a string")
}

// escaped goes on with a string whose first escape stands at p.at; the result is in the frame's scratch.
func (p *parser) escaped(from int) ([]byte, error) {
	if cap(p.f.scratch)-len(p.f.scratch) < len(p.b)-from {
		// A new piece: what earlier strings point to must stay.
		p.f.scratch = make([]byte, 0, max(2*(len(p.b)-from), 4096))
	}
	start := len(p.f.scratch)
	s := append(p.f.scratch, p.b[from:p.at]...)
	for p.at < len(p.b) {
		switch c := p.b[p.at]; c {
		case '"':
			p.at++
			p.f.scratch = s
			return s[start:len(s):len(s)], nil
		case '\\':
			var err error
			if s, err = p.escape(s); err != nil {
				return nil, err
			}
		default:
			s = append(s, c)
			p.at++
		}
	}
	return nil, p.bad("the end of a string")
}

var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escape(s []byte) ([]byte, error) {
	if p.at+1 >= len(p.b) {
		return s, p.bad("an escape")
	}
	c := p.b[p.at+1]
	if e := shortEscapes[c]; e != 0 {
		p.at += 2
		return append(s, e), nil
	}
	r, ok := p.hex()
	if !ok {
		return s, p.bad("an escape")
	}
	if utf16.IsSurrogate(r) {
		low, ok := p.hex()
		if r = utf16.DecodeRune(r, low); !ok {
			r = utf8.RuneError
		}
	}
	return utf8.AppendRune(s, r), nil
}

// hex reads \uXXXX.
func (p *parser) hex() (rune, bool) {
	if p.at+6 > len(p.b) || p.b[p.at] != '\\' || p.b[p.at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range p.b[p.at+2 : p.at+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 6
	return r, true
}

// skip passes over any value.
func (p *parser) skip(depth int) error {
	if depth > depthMax {
		return fmt.Errorf("%w: JSON header nested deeper than %d", ErrFrame, depthMax)
	}
	p.space()
	if p.at >= len(p.b) {
		return p.bad("a value")
	}
	switch p.b[p.at] {
	case '{':
		return p.object(func([]byte) error { return p.skip(depth + 1) })
	case '[':
		return p.skipArray(depth)
	}
	var ignored []byte
	return p.scalar(&ignored)
}

func (p *parser) skipArray(depth int) error {
	p.at++
	if p.next(']') {
		return nil
	}
	for {
		// A scalar ends at , or }: inside an array also at ].
		p.space()
		if p.at < len(p.b) && p.b[p.at] != '"' && p.b[p.at] != '{' && p.b[p.at] != '[' {
			for p.at < len(p.b) && p.b[p.at] != ',' && p.b[p.at] != ']' {
				p.at++
			}
		} else if err := p.skip(depth + 1); err != nil {
			return err
		}
		if p.next(']') {
			return nil
		}
		if !p.next(',') {
			return p.bad(", or ]")
		}
	}
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte { return appendBytes(dst, []byte(s)) }

func appendBytes(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
