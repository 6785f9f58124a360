package shard

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/txn"
)

// StoredReader reads messages that are to be stored again. They get new checksums, on every member, so they must be what was stored, their
// properties too: each is read with its entry, and checked with the entry's checksum. What decayed is an error, and is mended from the other
// members; when there are none, a message whose body is whole is taken. Messages of one entry, one after the other, cost one read. Not safe for
// concurrent use.
type StoredReader struct {
	s       *Shard
	data    []byte // of the last entry
	dataPos int64
}

// HalfMessage reads an open half message that is to be stored again, likewise. Most can be checked by themselves.
func (s *Shard) HalfMessage(h *txn.Half) (message.View, error) {
	if h.Sum != 0 {
		raw, err := s.Message(nil, h.Position, int(h.Size))
		if err == nil && (crc32.Checksum(raw, castagnoli) == h.Sum || s.opts.Planted.TrustStored) {
			return placed(raw, h.Position)
		}
	}
	return s.StoredReader().Message(h.Position, h.Size)
}

// StoredReader gives one.
func (s *Shard) StoredReader() *StoredReader { return &StoredReader{s: s} }

// Message reads one, of so many bytes at a position. The view is valid until the next call.
func (r *StoredReader) Message(pos int64, size int32) (message.View, error) {
	if pos < r.dataPos || pos+int64(size) > r.dataPos+int64(len(r.data)) {
		err := r.load(pos)
		var damage *seglog.CorruptError
		if errors.As(err, &damage) && r.s.onlyCopy() {
			return r.s.wholeMessage(pos, size)
		}
		if err != nil {
			return nil, fmt.Errorf("message of %d bytes at position %d: %w", size, pos, err)
		}
	}
	at := pos - r.dataPos
	if at < 0 || at+int64(size) > int64(len(r.data)) {
		return nil, fmt.Errorf("message of %d bytes at position %d: %w", size, pos, seglog.ErrUnavailable)
	}
	return placed(r.data[at:at+int64(size)], pos)
}

// load reads the entry that holds a position.
func (r *StoredReader) load(pos int64) error {
	r.data, r.dataPos = r.data[:0], 0
	index, _, err := r.s.Contains(pos)
	if err != nil {
		return err
	}
	if r.s.opts.Planted.TrustStored {
		return r.loadUnchecked(pos)
	}
	_, err = r.s.Read(index, 1, func(e entry.Record) error {
		r.data, r.dataPos = append(r.data, e.Data...), e.DataPos
		return nil
	})
	return err
}

// onlyCopy says that no other member has what this one lost.
func (s *Shard) onlyCopy() bool {
	m := s.Status().Members
	return len(m.Voters) == 1 && len(m.Outgoing) == 0
}

func (s *Shard) wholeMessage(pos int64, size int32) (message.View, error) {
	raw, err := s.Message(nil, pos, int(size))
	if err != nil {
		return nil, err
	}
	v, err := placed(raw, pos)
	if err == nil && !v.Whole() {
		err = fmt.Errorf("message at position %d: %w", pos, errLost)
	}
	return v, err
}

// placed is the message that says it stands at a position.
func placed(raw []byte, pos int64) (message.View, error) {
	v, err := message.Parse(raw)
	if err == nil && v.Position() != pos {
		err = fmt.Errorf("the message says that it stands at position %d", v.Position())
	}
	if err != nil {
		return nil, fmt.Errorf("message at position %d: %w", pos, err)
	}
	return v, nil
}
