package derive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrState is wrapped by all that Restore refuses.
var ErrState = errors.New("derive: malformed state")

// stateVersion is the first byte. FORMAT: varints and length-prefixed strings:
//
//	version 1 | now | producers: n, {ref, pos, six strings} | topics: n, {name, queues: n, {id, next, micros},
//	groups: n, {name, places: n, {id, committed, acked, first, handed}}} | pairs: n, {request, id, millis, retries, group, host}
const stateVersion = 1

// Save appends the state to dst. A Deriver that Restore made from it goes on as this one does.
func (d *Deriver) Save(dst []byte) []byte {
	e := encoder{append(dst, stateVersion)}
	e.ints(d.now, int64(len(d.producers)))
	for _, p := range d.producers {
		e.ints(int64(p.Ref), p.pos)
		e.texts(p.Group, p.ClientID, p.Addr, p.Language, p.Version, p.Protocol)
	}
	e.ints(int64(len(d.topics)))
	for _, t := range d.topics {
		e.topic(t)
	}
	e.ints(int64(len(d.pairs.at)))
	for i := range d.pairs.ring { // from the oldest on
		if b := &d.pairs.ring[(d.pairs.next+i)%len(d.pairs.ring)]; b.live {
			e.texts(b.key.request, b.key.id)
			e.ints(b.millis, b.retries)
			e.texts(b.group, b.clientHost)
		}
	}
	return e.b
}

// Restore makes a Deriver from what Save gave.
func Restore(o Options, state []byte) (*Deriver, error) {
	d := New(o)
	if len(state) == 0 || state[0] != stateVersion {
		return nil, fmt.Errorf("%w: version %v, this one knows %d", ErrState, state[:min(1, len(state))], stateVersion)
	}
	s := decoder{b: state[1:]}
	d.now = s.int()
	for range s.count() {
		p := &producer{}
		p.Ref, p.pos = uint32(s.int()), s.int()
		for _, text := range []*string{&p.Group, &p.ClientID, &p.Addr, &p.Language, &p.Version, &p.Protocol} {
			*text = s.text()
		}
		d.producers[p.Ref] = p
	}
	for range s.count() {
		s.topic(d.newTopic(s.text()))
	}
	for range s.count() {
		b := begun{key: pairKey{s.text(), s.text()}, live: true}
		b.millis, b.retries, b.group, b.clientHost = s.int(), s.int(), s.text(), s.text()
		d.pairs.add(b)
	}
	if s.err == nil && len(s.b) > 0 {
		s.err = fmt.Errorf("%w: %d bytes behind its end", ErrState, len(s.b))
	}
	if s.err != nil {
		return nil, s.err
	}
	return d, nil
}

type encoder struct{ b []byte }

func (e *encoder) ints(all ...int64) {
	for _, n := range all {
		e.b = binary.AppendVarint(e.b, n)
	}
}

func (e *encoder) texts(all ...string) {
	for _, s := range all {
		e.b = append(binary.AppendUvarint(e.b, uint64(len(s))), s...)
	}
}

func (e *encoder) topic(t *topic) {
	e.texts(t.name)
	e.ints(int64(len(t.queues)))
	for id, q := range t.queues {
		e.ints(int64(id), q.next, q.micros)
	}
	e.ints(int64(len(t.groups)))
	for name, places := range t.groups {
		e.texts(name)
		e.ints(int64(len(places)))
		for id, p := range places {
			e.ints(int64(id), p.committed, p.acked, p.first, p.handed)
		}
	}
}

// decoder reads what encoder wrote; after the first error it gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s is cut, %d bytes left", ErrState, what, len(d.b))
	}
	d.b = nil
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("a number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count is the length of a list; each element takes at least one byte.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > int64(len(d.b)) {
		d.fail(fmt.Sprintf("a list of %d", n))
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n, width := binary.Uvarint(d.b)
	if width <= 0 || n > uint64(len(d.b)-width) {
		d.fail("a text")
		return ""
	}
	s := string(d.b[width : width+int(n)])
	d.b = d.b[width+int(n):]
	return s
}

func (d *decoder) topic(t *topic) {
	for range d.count() {
		id := int32(d.int())
		t.queues[id] = &queue{next: d.int(), micros: d.int()}
	}
	for range d.count() {
		places := map[int32]*place{}
		t.groups[d.text()] = places
		for range d.count() {
			id := int32(d.int())
			places[id] = &place{d.int(), d.int(), d.int(), d.int()}
		}
	}
}
