package message

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"
)

// Draft is a message before the log gave it its place. Slices are read, not kept.
type Draft struct {
	Topic          []byte
	Body           []byte
	Properties     []byte
	More           []byte // properties appended behind Properties
	QueueID        int32
	Flag           int32
	SysFlag        int32
	BornTime       int64
	BornHost       netip.AddrPort
	StoreHost      netip.AddrPort
	ReconsumeTimes int32
	PreparedOffset int64
}

// DraftOf is a stored message as a draft of another copy of it: all of it but its place. Slices are v's.
func DraftOf(v View) Draft {
	return Draft{
		Topic: v.Topic(), Body: v.Body(), Properties: v.Properties(), QueueID: v.QueueID(), Flag: v.Flag(), SysFlag: v.SysFlag(), BornTime: v.BornTime(),
		BornHost: v.BornHost(), StoreHost: v.StoreHost(), ReconsumeTimes: v.ReconsumeTimes(), PreparedOffset: v.PreparedOffset(),
	}
}

// Append appends the stored form of d to buf; queue offset, position and store time are zero until Place.
// Topic must be at most 255 bytes and Properties with More at most MaxProperties-1: callers refuse longer ones with their own code.
func Append(buf []byte, d *Draft) []byte {
	magic, width := uint32(MagicV1), 1
	if len(d.Topic) > 127 {
		magic, width = MagicV2, 2
	}
	born6, store6 := !d.BornHost.Addr().Unmap().Is4(), !d.StoreHost.Addr().Unmap().Is4()
	sys := d.SysFlag & knownFlags &^ (FlagBornHostV6 | FlagStoreHostV6)
	if born6 {
		sys |= FlagBornHostV6
	}
	if store6 {
		sys |= FlagStoreHostV6
	}
	gap := 0
	if n := len(d.Properties); n > 0 && len(d.More) > 0 && d.Properties[n-1] != ValueEnd {
		gap = 1
	}
	properties := len(d.Properties) + gap + len(d.More)
	size := 48 + hostSize(born6) + 8 + hostSize(store6) + 4 + 8 + 4 + len(d.Body) + width + len(d.Topic) + 2 + properties
	at := len(buf)
	buf = grow(buf, size)
	b := buf[at:]
	be := binary.BigEndian
	be.PutUint32(b, uint32(size))
	be.PutUint32(b[offMagic:], magic)
	be.PutUint32(b[offBodyCRC:], crc32.ChecksumIEEE(d.Body)&0x7fffffff)
	be.PutUint32(b[offQueueID:], uint32(d.QueueID))
	be.PutUint32(b[offFlag:], uint32(d.Flag))
	be.PutUint64(b[offQueueOffset:], 0)
	be.PutUint64(b[offPosition:], 0)
	be.PutUint32(b[offSysFlag:], uint32(sys))
	be.PutUint64(b[offBornTime:], uint64(d.BornTime))
	n := offBornHost + putHost(b[offBornHost:], d.BornHost)
	be.PutUint64(b[n:], 0)
	n += 8
	n += putHost(b[n:], d.StoreHost)
	be.PutUint32(b[n:], uint32(d.ReconsumeTimes))
	be.PutUint64(b[n+4:], uint64(d.PreparedOffset))
	be.PutUint32(b[n+12:], uint32(len(d.Body)))
	n += 16
	n += copy(b[n:], d.Body)
	if width == 2 {
		be.PutUint16(b[n:], uint16(len(d.Topic)))
	} else {
		b[n] = byte(len(d.Topic))
	}
	n += width
	n += copy(b[n:], d.Topic)
	be.PutUint16(b[n:], uint16(properties))
	n += 2 + copy(b[n+2:], d.Properties)
	if gap > 0 {
		b[n] = ValueEnd
		n++
	}
	copy(b[n:], d.More)
	return buf
}

func grow(buf []byte, n int) []byte {
	if cap(buf)-len(buf) >= n {
		return buf[:len(buf)+n]
	}
	return append(buf, make([]byte, n)...)
}

// Place writes what the log decides into a stored message: its queue, queue offset, position and store time (ms).
func Place(v View, queueID int32, queueOffset, position, storeMillis int64) {
	be := binary.BigEndian
	be.PutUint32(v[offQueueID:], uint32(queueID))
	be.PutUint64(v[offQueueOffset:], uint64(queueOffset))
	be.PutUint64(v[offPosition:], uint64(position))
	be.PutUint64(v[v.storeTimeAt():], uint64(storeMillis))
}

// AppendOffsetID appends the offset message id: upper-case hex of store host, port and position.
func AppendOffsetID(dst []byte, store netip.AddrPort, position int64) []byte {
	var raw [28]byte
	n := putHost(raw[:], store)
	binary.BigEndian.PutUint64(raw[n:], uint64(position))
	const digits = "0123456789ABCDEF"
	for _, c := range raw[:n+8] {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// ParseOffsetID takes an offset message id apart: 32 hex digits (IPv4) or 56 (IPv6).
func ParseOffsetID(id string) (netip.AddrPort, int64, error) {
	raw, err := hex.DecodeString(strings.ToLower(id))
	if err != nil || (len(raw) != 16 && len(raw) != 28) {
		return netip.AddrPort{}, 0, fmt.Errorf("message: %q is no offset message id (32 or 56 hex digits)", id)
	}
	n := len(raw) - 8
	return readHost(raw, n == 20), int64(binary.BigEndian.Uint64(raw[n:])), nil
}
