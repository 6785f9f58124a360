package transport

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

var errShort = errors.New("a raft message that ends before its fields do")

// received is a message with the values that its optional fields point to: one allocation for all of them.
type received struct {
	m                                                        pb.Message
	typ                                                      pb.MessageType
	to, from, term, logTerm, index, commit, vote, rejectHint uint64
	reject                                                   bool
}

// receivedEntry is an entry likewise.
type receivedEntry struct {
	e           pb.Entry
	typ         pb.EntryType
	term, index uint64
}

// decodeMessage reads a message's payload. The message's context and its entries' data are parts of b.
func decodeMessage(b []byte) (*pb.Message, error) {
	if len(b) < messageHead {
		return nil, errShort
	}
	r := &received{}
	if err := r.fields(b); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	context, snap, entries := uint64(le.Uint32(b[68:])), uint64(le.Uint32(b[72:])), uint64(le.Uint32(b[76:]))
	present, rest := le.Uint16(b), b[messageHead:]
	if context+snap+entries*entryHead > uint64(len(rest)) {
		return nil, errShort
	}
	r.m.Context = part(rest[:context], present&hasContext != 0)
	if err := r.snapshot(rest[context:context+snap], present&hasSnapshot != 0); err != nil {
		return nil, err
	}
	var err error
	r.m.Entries, err = decodeEntries(rest[context+snap:], int(entries))
	return &r.m, err
}

// part is b for a field that is there; what is added to it later goes elsewhere.
func part(b []byte, there bool) []byte {
	if !there {
		return nil
	}
	return b[:len(b):len(b)]
}

func (r *received) fields(b []byte) error {
	le, present := binary.LittleEndian, binary.LittleEndian.Uint16(b)
	r.typ, r.reject = pb.MessageType(b[2]), b[3] == 1
	if _, ok := pb.MessageType_name[int32(b[2])]; !ok || b[3] > 1 || present >= messageFields {
		return fmt.Errorf("a raft message of type %d, reject %d, fields %#x", b[2], b[3], present)
	}
	words := [...]*uint64{&r.to, &r.from, &r.term, &r.logTerm, &r.index, &r.commit, &r.vote, &r.rejectHint}
	for i, w := range words {
		*w = le.Uint64(b[4+8*i:])
	}
	m := &r.m
	m.Type, m.Reject = given(&r.typ, present&hasType), given(&r.reject, present&hasReject)
	m.To, m.From = given(&r.to, present&hasTo), given(&r.from, present&hasFrom)
	m.Term, m.LogTerm = given(&r.term, present&hasTerm), given(&r.logTerm, present&hasLogTerm)
	m.Index, m.Commit = given(&r.index, present&hasIndex), given(&r.commit, present&hasCommit)
	m.Vote, m.RejectHint = given(&r.vote, present&hasVote), given(&r.rejectHint, present&hasRejectHint)
	return nil
}

func given[T any](p *T, bit uint16) *T {
	if bit == 0 {
		return nil
	}
	return p
}

func (r *received) snapshot(b []byte, there bool) error {
	if !there {
		return nil
	}
	r.m.Snapshot = &pb.Snapshot{}
	if err := proto.Unmarshal(b, r.m.Snapshot); err != nil {
		return fmt.Errorf("a snapshot of %d bytes: %w", len(b), err)
	}
	return nil
}

// decodeEntries reads n entries, for whose headers at least b has room, and nothing may follow them.
func decodeEntries(b []byte, n int) ([]*pb.Entry, error) {
	var entries []*pb.Entry
	if n > 0 {
		entries = make([]*pb.Entry, n)
	}
	all := make([]receivedEntry, n)
	for i := range all {
		if len(b) < entryHead {
			return nil, errShort
		}
		size := uint64(binary.LittleEndian.Uint32(b[4:]))
		if size > uint64(len(b)-entryHead) {
			return nil, errShort
		}
		if err := all[i].decode(b, b[entryHead:entryHead+size]); err != nil {
			return nil, err
		}
		entries[i], b = &all[i].e, b[entryHead+size:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("a raft message with %d bytes behind its entries", len(b))
	}
	return entries, nil
}

func (r *receivedEntry) decode(head, data []byte) error {
	present := uint16(head[0])
	if _, ok := pb.EntryType_name[int32(head[1])]; !ok || present >= entryFields {
		return fmt.Errorf("an entry of type %d, fields %#x", head[1], present)
	}
	r.typ = pb.EntryType(head[1])
	r.term, r.index = binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
	r.e.Type, r.e.Term = given(&r.typ, present&entryType), given(&r.term, present&entryTerm)
	r.e.Index, r.e.Data = given(&r.index, present&entryIndex), part(data, present&entryData != 0)
	return nil
}
