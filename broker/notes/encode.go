package notes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	magic      = "CTNOTES1"
	frameSize  = 8
	maxRecord  = 1 << 20
	maxDetails = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFormat is wrapped by all that decoding refuses.
var ErrFormat = errors.New("notes: malformed note")

// seal fills the frame of the record that starts at b[at].
func seal(b []byte, at int) {
	body := b[at+frameSize:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
}

func begin(b []byte, k Kind) []byte {
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(k))
}

// appendDelivery encodes d whose strings have the given numbers.
func appendDelivery(b []byte, d *Delivery, s *[8]uint32) []byte {
	for _, n := range s {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendVarint(b, int64(d.QueueID))
	b = binary.AppendVarint(b, d.From)
	b = binary.AppendVarint(b, d.To-d.From)
	b = binary.AppendVarint(b, d.RequestedMicros)
	b = binary.AppendVarint(b, d.SentMicros-d.RequestedMicros)
	b = binary.AppendVarint(b, d.WaitedMicros)
	b = binary.AppendUvarint(b, uint64(d.Messages))
	b = binary.AppendUvarint(b, uint64(d.Filtered))
	b = binary.AppendUvarint(b, d.Bytes)
	b = binary.AppendUvarint(b, uint64(d.Attempt))
	n := min(len(d.Skipped), MaxSkipped)
	b = binary.AppendUvarint(b, uint64(n))
	for _, at := range d.Skipped[:n] {
		b = binary.AppendVarint(b, at-d.From)
	}
	return b
}

func appendTimes(b []byte, t *EntryTimes) []byte {
	b = binary.AppendUvarint(b, t.Index)
	b = binary.AppendVarint(b, t.AppendedMicros)
	for _, at := range [3]int64{t.SyncedMicros, t.CommittedMicros, t.AckedMicros} {
		if at == 0 {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(max(at-t.AppendedMicros, 0))+1)
	}
	if t.Slowest == 0 {
		return b // as older versions wrote it
	}
	return binary.AppendUvarint(b, t.Slowest)
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), MaxString)]
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendHappening(b []byte, h *Happening) []byte {
	b = binary.AppendVarint(b, h.AtMicros)
	for _, s := range [6]string{h.Kind, h.Topic, h.Group, h.Client, h.Addr, h.Text} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(h.Count))
	n := min(len(h.Detail), maxDetails)
	b = binary.AppendUvarint(b, uint64(n))
	for k, v := range h.Detail {
		if n == 0 {
			break
		}
		n--
		b = appendText(appendText(b, k), v)
	}
	return b
}

// decoder takes varints off a body; its first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s is cut", ErrFormat, what)
	}
	d.b = nil
}

func (d *decoder) unsigned(what string) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) signed(what string) int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(what)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text(what string) string {
	n := d.unsigned(what)
	if n > MaxString || n > uint64(len(d.b)) {
		d.fail(what)
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) interned(strings []string) string {
	n := d.unsigned("string number")
	if d.err == nil && n >= uint64(len(strings)) {
		d.err = fmt.Errorf("%w: string number %d of %d", ErrFormat, n, len(strings))
	}
	if d.err != nil {
		return ""
	}
	return strings[n]
}

func (d *decoder) delivery(out *Delivery, strings []string) {
	for _, s := range []*string{&out.Topic, &out.Group, &out.Client, &out.Addr, &out.Language, &out.Version,
		&out.Protocol, &out.Subscription} {
		*s = d.interned(strings)
	}
	out.QueueID = int32(d.signed("queue id"))
	out.From = d.signed("from")
	out.To = out.From + d.signed("to")
	out.RequestedMicros = d.signed("requested")
	out.SentMicros = out.RequestedMicros + d.signed("sent")
	out.WaitedMicros = d.signed("waited")
	out.Messages = uint32(d.unsigned("messages"))
	out.Filtered = uint32(d.unsigned("filtered"))
	out.Bytes = d.unsigned("bytes")
	out.Attempt = uint16(d.unsigned("attempt"))
	out.Skipped = out.Skipped[:0]
	n := d.unsigned("skipped")
	if n > MaxSkipped {
		d.fail("skipped")
		return
	}
	for range n {
		out.Skipped = append(out.Skipped, out.From+d.signed("skipped offset"))
	}
}

func (d *decoder) times(out *EntryTimes) {
	out.Index = d.unsigned("index")
	out.AppendedMicros = d.signed("appended")
	for _, at := range []*int64{&out.SyncedMicros, &out.CommittedMicros, &out.AckedMicros} {
		if *at = 0; d.err == nil {
			if v := d.unsigned("time"); v > 0 {
				*at = out.AppendedMicros + int64(v-1)
			}
		}
	}
	if out.Slowest = 0; d.err == nil && len(d.b) > 0 {
		out.Slowest = d.unsigned("slowest member")
	}
}

func (d *decoder) happening(out *Happening) {
	*out = Happening{AtMicros: d.signed("at")}
	for _, s := range []*string{&out.Kind, &out.Topic, &out.Group, &out.Client, &out.Addr, &out.Text} {
		*s = d.text("text")
	}
	out.Count = uint32(d.unsigned("count"))
	n := d.unsigned("details")
	if n > maxDetails {
		d.fail("details")
		return
	}
	for range n {
		if out.Detail == nil {
			out.Detail = map[string]string{}
		}
		k := d.text("name")
		out.Detail[k] = d.text("value")
	}
}
