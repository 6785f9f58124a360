package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrDiverged stops a member whose state differs from the others': it must not lead, and must not be asked.
var ErrDiverged = errors.New("this member's state differs from that of the other members")

// marks are hashes of the state as of sealed segments' ends, which all members reach with the same entry.
type marks struct {
	at   uint64 // entry of own
	own  []byte
	them map[uint64]markOf // by member
}

type markOf struct {
	at   uint64
	hash []byte
}

// mark is the hash of a checkpoint without what belongs to this member alone.
func (c *checkpoint) mark() ([]byte, error) {
	same := *c
	same.Sealed = 0
	b, err := json.Marshal(&same)
	h := sha256.Sum256(b)
	return h[:], err
}

// tellMark sends the hash of a checkpoint that was written to all members, this one included.
func (s *Shard) tellMark(c *checkpoint) {
	if s.opts.Aside == nil {
		return
	}
	h, err := c.mark()
	if err != nil {
		return
	}
	body := append(binary.LittleEndian.AppendUint64(nil, c.Applied), h...)
	s.Aside(s.opts.ID, AsideMark, body)
	for _, id := range c.Voters {
		if id != s.opts.ID {
			s.opts.Aside(id, AsideMark, body)
		}
	}
}

func (s *Shard) onMark(a aside) {
	if len(a.body) != 8+sha256.Size {
		return
	}
	at, hash := binary.LittleEndian.Uint64(a.body), a.body[8:]
	m := &s.marks
	if a.from == s.opts.ID {
		m.at, m.own = at, hash
	} else {
		if m.them == nil {
			m.them = map[uint64]markOf{}
		}
		m.them[a.from] = markOf{at, hash}
	}
	s.fail(s.compareMarks())
}

// compareMarks stops this member when a majority of the group agrees on another state. When it cannot be told who is wrong,
// nobody stops.
func (s *Shard) compareMarks() error {
	m := &s.marks
	if m.own == nil {
		return nil
	}
	votes := map[string]int{}
	for _, id := range s.conf.GetVoters() {
		if t, ok := m.them[id]; ok && t.at == m.at {
			votes[string(t.hash)]++
		}
	}
	for hash, n := range votes {
		if bytes.Equal([]byte(hash), m.own) {
			continue
		}
		if n > len(s.conf.GetVoters())/2 {
			return fmt.Errorf("entry %d: %w", m.at, ErrDiverged)
		}
		s.opts.Log.Error("the state of another member differs; which of the two is wrong cannot be told", "entry", m.at)
	}
	return nil
}
