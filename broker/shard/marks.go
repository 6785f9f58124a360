package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrDiverged stops a member whose state differs from the others': it must not lead, and must not be asked.
var ErrDiverged = errors.New("this member's state differs from that of the other members")

// A mark is a hash of each part of the state as of a sealed segment's end, which all members reach with the same entry. Members of
// different versions may know different parts, or write one in another way, which is another part: they compare what both know.

// marks are this member's newest mark and those of the others.
type marks struct {
	at   uint64 // entry of own
	own  []partHash
	them map[uint64]markOf // by member
}

type markOf struct {
	at     uint64
	hashes []partHash
}

type partHash struct {
	part part
	hash []byte
}

const (
	partHashBytes = 2 + hashBytes
	partsMax      = 100 // of one mark that is read
)

func encodeMark(at uint64, hashes []partHash) []byte {
	b := binary.LittleEndian.AppendUint64(nil, at)
	for _, h := range hashes {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(h.part)), h.hash...)
	}
	return b
}

// decodeMark is not ok for what no version wrote that names its parts: older ones sent one hash of everything, which says nothing when
// the other does not know the same.
func decodeMark(b []byte) (m markOf, ok bool) {
	if len(b) < 8 || (len(b)-8)%partHashBytes != 0 || (len(b)-8)/partHashBytes > partsMax {
		return m, false
	}
	m.at = binary.LittleEndian.Uint64(b)
	for b = b[8:]; len(b) > 0; b = b[partHashBytes:] {
		m.hashes = append(m.hashes, partHash{part(binary.LittleEndian.Uint16(b)), b[2:partHashBytes]})
	}
	return m, true
}

// of is the hash of a part, or nil.
func (m markOf) of(p part) []byte {
	if i := slices.IndexFunc(m.hashes, func(h partHash) bool { return h.part == p }); i >= 0 {
		return m.hashes[i].hash
	}
	return nil
}

// tellMark sends the mark of a checkpoint that was written to all members, this one included.
func (s *Shard) tellMark(c *checkpoint) {
	if s.opts.Aside == nil {
		return
	}
	body := encodeMark(c.Applied, c.hashes())
	s.Aside(s.opts.ID, AsideMark, body)
	for _, id := range c.Voters {
		if id != s.opts.ID {
			s.opts.Aside(id, AsideMark, body)
		}
	}
}

func (s *Shard) onMark(a aside) {
	got, ok := decodeMark(a.body)
	if !ok {
		return
	}
	m := &s.marks
	if a.from == s.opts.ID {
		m.at, m.own = got.at, got.hashes
	} else {
		if m.them == nil {
			m.them = map[uint64]markOf{}
		}
		m.them[a.from] = got
	}
	s.fail(s.compareMarks())
}

// compareMarks stops this member when a majority of the group agrees on another state. When it cannot be told who is wrong,
// nobody stops.
func (s *Shard) compareMarks() error {
	for _, own := range s.marks.own {
		if err := s.comparePart(own); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shard) comparePart(own partHash) error {
	m, votes := &s.marks, map[string]int{}
	for _, id := range s.conf.GetVoters() {
		if t, ok := m.them[id]; ok && t.at == m.at && t.of(own.part) != nil {
			votes[string(t.of(own.part))]++
		}
	}
	for hash, n := range votes {
		if bytes.Equal([]byte(hash), own.hash) {
			continue
		}
		if n > len(s.conf.GetVoters())/2 {
			return fmt.Errorf("entry %d, %s: %w", m.at, own.part, ErrDiverged)
		}
		s.opts.Log.Error("the state of another member differs; which of the two is wrong cannot be told", "entry", m.at, "what", own.part.String())
	}
	return nil
}
