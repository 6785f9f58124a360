package clickhouse

import (
	"encoding/binary"
	"net"
	"strings"
)

// column is one column of a block in ClickHouse's Native form. Values are encoded as they are added, so that writing a
// block copies nothing.
type column interface {
	kind() string // ClickHouse's type
	parts(net.Buffers) net.Buffers
	size() int
	reset()
}

// numbers is a column of fixed-width little-endian values.
type numbers struct {
	typ string
	b   []byte
}

func (c *numbers) kind() string                    { return c.typ }
func (c *numbers) parts(p net.Buffers) net.Buffers { return append(p, c.b) }
func (c *numbers) size() int                       { return len(c.b) }
func (c *numbers) reset()                          { c.b = c.b[:0] }
func (c *numbers) put8(v uint8)                    { c.b = append(c.b, v) }
func (c *numbers) put16(v uint16)                  { c.b = binary.LittleEndian.AppendUint16(c.b, v) }
func (c *numbers) put32(v uint32)                  { c.b = binary.LittleEndian.AppendUint32(c.b, v) }
func (c *numbers) put64(v uint64)                  { c.b = binary.LittleEndian.AppendUint64(c.b, v) }
func (c *numbers) int32(v int32)                   { c.put32(uint32(v)) }
func (c *numbers) int64(v int64)                   { c.put64(uint64(v)) }

// hex adds n bytes given as 2n hex digits; anything else becomes zeros.
func (c *numbers) hex(s string, n int) {
	at := len(c.b)
	if len(s) != 2*n {
		c.b = append(c.b, make([]byte, n)...) // n is small: on the stack
		return
	}
	for i := 0; i < len(s); i += 2 {
		hi, lo := digit(s[i]), digit(s[i+1])
		if hi|lo > 15 {
			c.b = append(c.b[:at], make([]byte, n)...)
			return
		}
		c.b = append(c.b, hi<<4|lo)
	}
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xFF
}

// texts is a String column.
type texts struct{ b []byte }

func (c *texts) kind() string                    { return "String" }
func (c *texts) parts(p net.Buffers) net.Buffers { return append(p, c.b) }
func (c *texts) size() int                       { return len(c.b) }
func (c *texts) reset()                          { c.b = c.b[:0] }
func (c *texts) put(s string)                    { c.b = appendText(c.b, s) }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// words is a LowCardinality(String) column: a dictionary and a number per row. Rows of one entry repeat their words, so
// the last one is compared first.
type words struct {
	head      [40]byte
	keys      []byte // 4 bytes a row: the server takes any width
	dict      []byte
	at        map[string]word
	last      string
	lastKey   uint32
	wordBytes int
}

// word is one of the dictionary; text is the map's own copy.
type word struct {
	text string
	key  uint32
}

// Flags of the Native form of LowCardinality: keys are 4 bytes wide, the dictionary follows, and it is this block's own.
const (
	lowCardinalityVersion = 1
	keysOf4Bytes          = 2
	hasAdditionalKeys     = 1 << 9
	needUpdateDictionary  = 1 << 10
)

func (c *words) kind() string { return "LowCardinality(String)" }
func (c *words) size() int    { return len(c.keys) + len(c.dict) + c.wordBytes }

func (c *words) reset() {
	clear(c.at)
	c.keys, c.dict, c.last, c.lastKey, c.wordBytes = c.keys[:0], c.dict[:0], "", 0, 0
}

func (c *words) put(s string) {
	if len(c.keys) == 0 || s != c.last {
		c.find(s)
	}
	c.keys = binary.LittleEndian.AppendUint32(c.keys, c.lastKey)
}

// find makes s the last word.
func (c *words) find(s string) {
	if w, ok := c.at[s]; ok {
		c.last, c.lastKey = w.text, w.key
		return
	}
	if c.at == nil {
		c.at = map[string]word{}
	}
	s = strings.Clone(s)
	c.last, c.lastKey = s, uint32(len(c.at))
	c.at[s] = word{s, c.lastKey}
	c.dict = appendText(c.dict, s)
	c.wordBytes += len(s) + 64 // about what the map takes
}

func (c *words) parts(p net.Buffers) net.Buffers {
	le := binary.LittleEndian
	h := le.AppendUint64(c.head[:0], lowCardinalityVersion)
	h = le.AppendUint64(h, keysOf4Bytes|hasAdditionalKeys|needUpdateDictionary)
	h = le.AppendUint64(h, uint64(len(c.at)))
	rows := le.AppendUint64(h, uint64(len(c.keys)/4))[len(h):]
	return append(p, h, c.dict, rows, c.keys)
}

// lists is an Array column; its elements are added to of, then end closes the row.
type lists struct {
	of   column
	ends []byte
	n    uint64
}

func (c *lists) kind() string                    { return "Array(" + c.of.kind() + ")" }
func (c *lists) parts(p net.Buffers) net.Buffers { return c.of.parts(append(p, c.ends)) }
func (c *lists) size() int                       { return len(c.ends) + c.of.size() }
func (c *lists) reset()                          { c.ends, c.n = c.ends[:0], 0; c.of.reset() }

func (c *lists) end(elements int) {
	c.n += uint64(elements)
	c.ends = binary.LittleEndian.AppendUint64(c.ends, c.n)
}

// maps is a Map(String, String) column.
type maps struct {
	ends         []byte
	n            uint64
	keys, values texts
}

func (c *maps) kind() string { return "Map(String, String)" }
func (c *maps) size() int    { return len(c.ends) + c.keys.size() + c.values.size() }
func (c *maps) reset()       { c.ends, c.n = c.ends[:0], 0; c.keys.reset(); c.values.reset() }

func (c *maps) parts(p net.Buffers) net.Buffers {
	return append(p, c.ends, c.keys.b, c.values.b)
}

func (c *maps) put(m map[string]string) {
	for k, v := range m {
		c.keys.put(k)
		c.values.put(v)
	}
	c.n += uint64(len(m))
	c.ends = binary.LittleEndian.AppendUint64(c.ends, c.n)
}
