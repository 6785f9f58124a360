package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Entry table sidecar (NNN.ent), little endian; rebuilt by scanning when missing or bad:
//
//	magic 8 | number 8 | entries 4 | term runs 4 | local runs 4 | CRC-32C of all but itself 4 |
//	file offset 4 per entry | { index 8 term 8 } per term run | { position 8 bytes 4 } per local run
const (
	tableMagic  = 0x31454c4241544e43
	tableHeader = 32
	tableLimit  = 256 << 20
)

func tableName(s *segment) string { return strings.TrimSuffix(s.name, ".seg") + ".ent" }

func (l *Log) writeTable(s *segment) error {
	return vfs.WriteFileAtomic(l.fs, tableName(s), encodeTable(s.seq, &s.mu.table))
}

func (l *Log) removeTable(s *segment) { _ = l.fs.Remove(tableName(s)) }

func encodeTable(seq uint64, t *table) []byte {
	le := binary.LittleEndian
	b := make([]byte, tableHeader, tableHeader+4*len(t.offsets)+16*len(t.terms)+12*len(t.locals))
	le.PutUint64(b, tableMagic)
	le.PutUint64(b[8:], seq)
	le.PutUint32(b[16:], uint32(len(t.offsets)))
	le.PutUint32(b[20:], uint32(len(t.terms)))
	le.PutUint32(b[24:], uint32(len(t.locals)))
	for _, o := range t.offsets {
		b = le.AppendUint32(b, o)
	}
	for _, r := range t.terms {
		b = le.AppendUint64(le.AppendUint64(b, r.index), r.term)
	}
	for _, r := range t.locals {
		b = le.AppendUint32(le.AppendUint64(b, uint64(r.pos)), r.bytes)
	}
	le.PutUint32(b[28:], tableCRC(b))
	return b
}

func tableCRC(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:28], castagnoli), castagnoli, b[tableHeader:])
}

func decodeTable(b []byte, seq uint64) (table, error) {
	le := binary.LittleEndian
	if len(b) < tableHeader || le.Uint64(b) != tableMagic || le.Uint64(b[8:]) != seq {
		return table{}, errors.New("not this segment's entry table")
	}
	n, terms, locals := int(le.Uint32(b[16:])), int(le.Uint32(b[20:])), int(le.Uint32(b[24:]))
	if len(b) != tableHeader+4*n+16*terms+12*locals || le.Uint32(b[28:]) != tableCRC(b) {
		return table{}, errors.New("entry table is damaged")
	}
	t := table{offsets: make([]uint32, n), terms: make([]termRun, terms), locals: make([]localRun, locals)}
	b = b[tableHeader:]
	for i := range t.offsets {
		t.offsets[i] = le.Uint32(b[4*i:])
	}
	b = b[4*n:]
	for i := range t.terms {
		t.terms[i] = termRun{le.Uint64(b[16*i:]), le.Uint64(b[16*i+8:])}
	}
	b = b[16*terms:]
	for i := range t.locals {
		t.locals[i] = localRun{int64(le.Uint64(b[12*i:])), le.Uint32(b[12*i+8:])}
	}
	return t, nil
}

func (l *Log) readTable(s *segment) (table, error) {
	b, err := vfs.ReadFile(l.fs, tableName(s), tableLimit)
	if err != nil {
		return table{}, err
	}
	t, err := decodeTable(b, s.seq)
	if err == nil && uint64(len(t.offsets)) != s.mu.last+1-s.firstIndex {
		err = fmt.Errorf("entry table has %d entries, the segment %d", len(t.offsets), s.mu.last+1-s.firstIndex)
	}
	return t, err
}

// scanSealed rebuilds a sealed segment's table from its records; anything amiss is damage.
func (l *Log) scanSealed(s *segment) (table, error) {
	sc := scanner{s: s, chain: s.prevChain, pos: s.firstPos, index: s.firstIndex - 1, size: int64(s.mu.end)}
	err := sc.run()
	var torn *tornError
	if errors.As(err, &torn) {
		return table{}, &CorruptError{s.name, torn.offset, torn.reason}
	}
	if err != nil {
		return table{}, err
	}
	if sc.at != int64(s.mu.end) || sc.index != s.mu.last {
		return table{}, &CorruptError{s.name, sc.at, fmt.Sprintf("records end with entry %d, the next segment says %d at byte %d", sc.index, s.mu.last, s.mu.end)}
	}
	return sc.table, nil
}

// Verify reads every record of one segment and checks all checksums and the chain.
func (l *Log) Verify(seq uint64) error {
	for i, s := range *l.segments.Load() {
		if s.seq != seq {
			continue
		}
		if i < len(*l.segments.Load())-1 {
			_, err := l.scanSealed(s)
			return err
		}
		sc := scanner{s: s, chain: s.prevChain, pos: s.firstPos, index: s.firstIndex - 1, size: int64(s.mu.end)}
		return sc.run()
	}
	return fmt.Errorf("there is no segment %d", seq)
}
