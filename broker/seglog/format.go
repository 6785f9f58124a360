package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Segment file, little endian:
//
//	+--------------------+----------------+----------------+-----+---------------+
//	| segment header 64  | record         | record         | ... | zeros         |
//	+--------------------+----------------+----------------+-----+---------------+
//
// Segment header: magic 8 | number 8 | first index 8 | first position 8 | term before 8 | chain before 4 |
// end of the segment before 4 | created, ms 8 | salt 4 (0: made before there was one) | CRC-32C of the 60 bytes 4
//
// Record header:
//
//	 0 header CRC 4   CRC-32C of bytes 4..48, seeded with the segment's number and salt
//	 4 chain 4        header CRC of the record before
//	 8 data length 4
//	12 data CRC 4     CRC-32C of the data
//	16 term 8
//	24 index 8        0 for local records
//	32 position 8     of this record; for local records: of the next entry
//	40 synced 4       file offset below which everything was synced when this was written
//	44 kind 1 | type 1 | zero 2
const (
	SegmentHeaderSize = 64
	RecordHeaderSize  = 48
	segmentMagic      = 0x3147455352544e43 // "CNTRSEG1"
)

// Record kinds.
const (
	kindEntry     = 1
	kindHardState = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// RecordSize is what an entry with n bytes of data adds to positions.
func RecordSize(n int) int64 { return RecordHeaderSize + int64(n+7)&^7 }

type segmentHeader struct {
	seq, firstIndex uint64
	firstPos        int64
	prevTerm        uint64
	prevChain       uint32
	prevEnd         uint32
	createdMillis   int64
	// salt is drawn for each segment and never leaves it, so that nobody can send data that looks like its record headers.
	salt uint32
}

func (h *segmentHeader) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b, segmentMagic)
	le.PutUint64(b[8:], h.seq)
	le.PutUint64(b[16:], h.firstIndex)
	le.PutUint64(b[24:], uint64(h.firstPos))
	le.PutUint64(b[32:], h.prevTerm)
	le.PutUint32(b[40:], h.prevChain)
	le.PutUint32(b[44:], h.prevEnd)
	le.PutUint64(b[48:], uint64(h.createdMillis))
	le.PutUint32(b[56:], h.salt)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

func decodeSegmentHeader(b []byte) (segmentHeader, error) {
	le := binary.LittleEndian
	if got := le.Uint64(b); got != segmentMagic {
		return segmentHeader{}, fmt.Errorf("magic %#x", got)
	}
	if want, got := le.Uint32(b[60:]), crc32.Checksum(b[:60], castagnoli); want != got {
		return segmentHeader{}, fmt.Errorf("header checksum %#x, computed %#x", want, got)
	}
	return segmentHeader{
		seq: le.Uint64(b[8:]), firstIndex: le.Uint64(b[16:]), firstPos: int64(le.Uint64(b[24:])),
		prevTerm: le.Uint64(b[32:]), prevChain: le.Uint32(b[40:]), prevEnd: le.Uint32(b[44:]),
		createdMillis: int64(le.Uint64(b[48:])), salt: le.Uint32(b[56:]),
	}, nil
}

type recordHeader struct {
	crc, chain  uint32
	length      uint32
	dataCRC     uint32
	term, index uint64
	pos         int64
	synced      uint32
	kind, typ   uint8
}

func (h *recordHeader) encode(b []byte, seed uint32) {
	le := binary.LittleEndian
	le.PutUint32(b[4:], h.chain)
	le.PutUint32(b[8:], h.length)
	le.PutUint32(b[12:], h.dataCRC)
	le.PutUint64(b[16:], h.term)
	le.PutUint64(b[24:], h.index)
	le.PutUint64(b[32:], uint64(h.pos))
	le.PutUint32(b[40:], h.synced)
	b[44], b[45], b[46], b[47] = h.kind, h.typ, 0, 0
	h.crc = headerCRC(b, seed)
	le.PutUint32(b, h.crc)
}

func headerCRC(b []byte, seed uint32) uint32 {
	return crc32.Update(seed, castagnoli, b[4:RecordHeaderSize])
}

// seed is what the checksums of the segment's record headers begin with.
func (h *segmentHeader) seed() uint32 { return uint32(h.seq*0x9E3779B1) ^ h.salt }

// decodeRecordHeader reads a header; ok says that its own checksum fits (the chain is the caller's to check).
func decodeRecordHeader(b []byte, seed uint32) (h recordHeader, ok bool) {
	le := binary.LittleEndian
	h = recordHeader{
		crc: le.Uint32(b), chain: le.Uint32(b[4:]), length: le.Uint32(b[8:]), dataCRC: le.Uint32(b[12:]),
		term: le.Uint64(b[16:]), index: le.Uint64(b[24:]), pos: int64(le.Uint64(b[32:])), synced: le.Uint32(b[40:]),
		kind: b[44], typ: b[45],
	}
	return h, h.crc == headerCRC(b, seed) && (h.kind == kindEntry || h.kind == kindHardState)
}

// HardState is what a member must remember besides its entries.
type HardState struct {
	Term, Vote, Commit uint64
}

func (h HardState) encode() []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint64(b, h.Term)
	binary.LittleEndian.PutUint64(b[8:], h.Vote)
	binary.LittleEndian.PutUint64(b[16:], h.Commit)
	return b
}

func decodeHardState(b []byte) (HardState, error) {
	if len(b) != 24 {
		return HardState{}, fmt.Errorf("hard state of %d bytes", len(b))
	}
	le := binary.LittleEndian
	return HardState{le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])}, nil
}

// CorruptError is damage below bytes that were once synced: not a torn tail. The log must not be used as it is.
type CorruptError struct {
	Segment string
	Offset  int64
	Reason  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("segment %s is damaged at byte %d: %s", e.Segment, e.Offset, e.Reason)
}
