// Package canon reads what the state's parts write into a checkpoint, whose bytes members compare.
//
// FORMAT: numbers are base-128 varints (encoding/binary: Uvarint, and Varint's zigzag for signed ones), names a length and bytes.
//
// Invariants: there is one form of each value: a varint that is longer than it must be is refused. So what was read and is written again
// gives the same bytes, if its reader checks the order of lists. The first error stays; after it every value is zero.
//
// Goroutines: none; one owner.
package canon

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrFormat is wrapped by all that a Reader refuses.
var ErrFormat = errors.New("malformed state")

// AppendName appends a name: its length, then its bytes.
func AppendName(dst []byte, name string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(name))), name...)
}

// Reader takes values from the front of bytes.
type Reader struct {
	rest []byte
	err  error
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// Failf makes the reader fail, unless it did already.
func (r *Reader) Failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	r.rest = nil
}

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// End is the first error, or one if something is left.
func (r *Reader) End() error {
	if n := len(r.rest); r.err == nil && n > 0 {
		r.Failf("%d bytes too many", n)
	}
	return r.err
}

// Uint reads a number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.Failf("no number in %d bytes", len(r.rest))
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	v := r.Uint()
	return int64(v>>1) ^ -int64(v&1)
}

// Upto reads a number that is not above limit; what it is goes into the error.
func (r *Reader) Upto(limit uint64, what string) uint64 {
	v := r.Uint()
	if v > limit {
		r.Failf("%s is %d, the limit is %d", what, v, limit)
		return 0
	}
	return v
}

// Count reads how many things of at least size bytes follow: no more than there is room for.
func (r *Reader) Count(size int, what string) int {
	return int(r.Upto(uint64(len(r.rest)/max(size, 1)), what))
}

// Name reads a name.
func (r *Reader) Name() string {
	n := r.Count(1, "a name's length")
	if n > len(r.rest) {
		r.Failf("a name of %d bytes in %d", n, len(r.rest))
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// Names reads a list of names in ascending order without equal ones.
func (r *Reader) Names(what string) []string {
	n := r.Count(1, what)
	out := make([]string, 0, n)
	for range n {
		s := r.Name()
		if len(out) > 0 && r.err == nil && s <= out[len(out)-1] {
			r.Failf("%s: %q does not come after %q", what, s, out[len(out)-1])
		}
		out = append(out, s)
	}
	return out
}
