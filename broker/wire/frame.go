package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Limits (perf-reliability.md 13.3).
const (
	FrameMax  = 16 << 20
	HeaderMax = 64 << 10
	FieldsMax = 128
)

// Serialize types.
const (
	JSON   = 0
	Binary = 1
)

// Flag bits.
const (
	FlagResponse = 1
	FlagOneway   = 2
)

// ErrFrame is wrapped by everything that makes a connection unusable: its stream can no longer be trusted.
var ErrFrame = errors.New("malformed frame")

// Field is one ext field.
type Field struct{ Name, Value []byte }

// Frame is one request or answer.
type Frame struct {
	Type     uint8
	Code     int32
	Language []byte // its name in JSON
	Lang     uint8  // its number in the binary form
	Version  int32
	Opaque   int32
	Flag     int32
	Remark   []byte
	Fields   []Field
	Body     []byte
	Raw      []byte // all of it, without its length
	scratch  []byte // unescaped strings
}

// Oneway says that no answer is wanted.
func (f *Frame) Oneway() bool { return f.Flag&FlagOneway != 0 }

// Response says that this answers a request of ours.
func (f *Frame) Response() bool { return f.Flag&FlagResponse != 0 }

// Get is the value of an ext field, nil when it is absent.
func (f *Frame) Get(name string) []byte {
	for i := range f.Fields {
		if string(f.Fields[i].Name) == name {
			return f.Fields[i].Value
		}
	}
	return nil
}

// String is Get as a string.
func (f *Frame) String(name string) string { return string(f.Get(name)) }

// Int is a whole number in an ext field; absent is def, anything else than a number is an error that names it.
func (f *Frame) Int(name string, def int64) (int64, error) {
	v := f.Get(name)
	if v == nil {
		return def, nil
	}
	return ParseInt(name, v)
}

// ParseInt reads a decimal number without allocating.
func ParseInt(name string, v []byte) (int64, error) {
	neg, n, i := false, int64(0), 0
	if len(v) > 0 && v[0] == '-' {
		neg, i = true, 1
	}
	if i == len(v) || len(v)-i > 19 {
		return 0, fmt.Errorf("field %s: %.40q is no number", name, v)
	}
	if len(v)-i > 18 { // may overflow: the slow way
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("field %s: %.40q is no 64-bit number", name, v)
		}
		return n, nil
	}
	for ; i < len(v); i++ {
		c := v[i] - '0'
		if c > 9 {
			return 0, fmt.Errorf("field %s: %.40q is no number", name, v)
		}
		n = n*10 + int64(c)
	}
	if neg {
		n = -n
	}
	return n, nil
}

// Bool is true for the word true.
func (f *Frame) Bool(name string, def bool) bool {
	switch v := f.Get(name); {
	case v == nil:
		return def
	default:
		return string(v) == "true"
	}
}

// Split gives the first frame of b without its length, and what follows; frame is nil when b holds less than one, then need
// says how many bytes a whole one takes (0: not known yet).
func Split(b []byte) (frame, rest []byte, need int, err error) {
	if len(b) < 4 {
		return nil, b, 0, nil
	}
	n := binary.BigEndian.Uint32(b)
	if n < 4 || n > FrameMax {
		return nil, b, 0, fmt.Errorf("%w: length %d, from 4 to %d are possible", ErrFrame, n, FrameMax)
	}
	if len(b) < 4+int(n) {
		return nil, b, 4 + int(n), nil
	}
	return b[4 : 4+n], b[4+n:], 0, nil
}

// Decode takes a frame apart.
func (f *Frame) Decode(b []byte) error {
	if len(b) < 4 {
		return fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	word := binary.BigEndian.Uint32(b)
	n := int(word & 0xffffff)
	if n > len(b)-4 || n > HeaderMax {
		return fmt.Errorf("%w: header of %d bytes in a frame of %d, the limit is %d", ErrFrame, n, len(b), HeaderMax)
	}
	*f = Frame{Type: uint8(word >> 24), Fields: f.Fields[:0], scratch: f.scratch[:0], Body: b[4+n:], Raw: b}
	header := b[4 : 4+n]
	switch f.Type {
	case JSON:
		return f.decodeJSON(header)
	case Binary:
		return f.decodeBinary(header)
	}
	return fmt.Errorf("%w: serialize type %d, 0 and 1 are possible", ErrFrame, f.Type)
}
