package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// FORMAT, little endian. A frame:
//
//	length of group and payload 4 | kind 1 | length of group 1 | 0 2 | CRC-32C of all but itself 4 | group | payload
//
// Payloads:
//
//	message  fields that are there 2 | type 1 | reject 1 | to, from, term, logTerm, index, commit, vote, rejectHint 8 each |
//	         length of context 4 | length of snapshot 4 | entries 4 | context | snapshot (protobuf) | entries
//	entry    fields that are there 1 | type 1 | 0 2 | length of data 4 | term 8 | index 8 | data
//	aside    kind 1 | body
//	ping     the dialler's clock 8
//	pong     what the ping said 8; 0: no answer to a ping, only a sign that bytes are read
const (
	kindMessage = 1
	kindAside   = 2
	kindPing    = 3
	kindPong    = 4

	frameHead   = 12
	messageHead = 80
	entryHead   = 24
	asideHead   = 1
	pingBody    = 8
)

// FrameMax is the largest frame.
const FrameMax = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameHeader is a frame's beginning.
type frameHeader struct {
	length int // of what follows
	kind   uint8
	group  int // length of the name
	crc    uint32
}

// parseHeader reads the first frameHead bytes of a frame.
func parseHeader(b []byte) (frameHeader, error) {
	h := frameHeader{kind: b[4], group: int(b[5]), crc: binary.LittleEndian.Uint32(b[8:])}
	length := binary.LittleEndian.Uint32(b)
	if length > FrameMax-frameHead {
		return h, fmt.Errorf("a frame of %d bytes; the limit is %d", uint64(length)+frameHead, FrameMax)
	}
	if h.length = int(length); h.group > h.length {
		return h, fmt.Errorf("a frame of %d bytes with a group name of %d", h.length, h.group)
	}
	if h.kind < kindMessage || h.kind > kindPong {
		return h, fmt.Errorf("a frame of unknown kind %d; the last known one is %d", h.kind, kindPong)
	}
	if z := binary.LittleEndian.Uint16(b[6:]); z != 0 {
		return h, fmt.Errorf("a frame with %#x where 0 is expected", z)
	}
	return h, nil
}

// verify compares the checksum of a frame's header and the rest.
func (h frameHeader) verify(head, rest []byte) error {
	crc := crc32.Update(crc32.Checksum(head[:8], castagnoli), castagnoli, rest)
	if crc != h.crc {
		return fmt.Errorf("a frame of %d bytes has checksum %#08x, its header says %#08x", frameHead+len(rest), crc, h.crc)
	}
	return nil
}

// appendHeader begins a frame; sealed sets its checksum.
func appendHeader(dst []byte, kind uint8, group string, payload int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(group)+payload))
	dst = append(dst, kind, uint8(len(group)), 0, 0, 0, 0, 0, 0)
	return append(dst, group...)
}

// appendPing appends a whole ping or pong.
func appendPing(dst []byte, kind uint8, clock uint64) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(appendHeader(dst, kind, "", pingBody), clock)
	crc := crc32.Checksum(dst[start:start+8], castagnoli)
	crc = crc32.Update(crc, castagnoli, dst[start+frameHead:])
	binary.LittleEndian.PutUint32(dst[start+8:], crc)
	return dst
}

// parsePing reads a whole ping or pong.
func parsePing(b []byte, kind uint8) (uint64, error) {
	h, err := parseHeader(b[:frameHead])
	if err != nil {
		return 0, err
	}
	if h.kind != kind || h.group != 0 || h.length != pingBody {
		return 0, fmt.Errorf("a frame of kind %d with %d bytes where one of kind %d with %d is expected", h.kind, h.length, kind, pingBody)
	}
	return binary.LittleEndian.Uint64(b[frameHead:]), h.verify(b[:frameHead], b[frameHead:])
}
