package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// Magic numbers of the stored form.
const (
	MagicV1 = 0xDAA320A7 // topic length in one byte
	MagicV2 = 0xDAA320AB // topic length in two bytes, for topics over 127 bytes
)

// sysFlag bits (org.apache.rocketmq.common.sysflag.MessageSysFlag).
const (
	FlagCompressed      = 0x1
	FlagMultiTags       = 0x2
	FlagTxPrepared      = 0x4
	FlagTxCommit        = 0x8
	FlagTxRollback      = 0xC
	FlagTxMask          = 0xC
	FlagBornHostV6      = 0x10
	FlagStoreHostV6     = 0x20
	FlagNeedUnwrap      = 0x40
	FlagInnerBatch      = 0x80
	FlagCompressionMask = 0x700
	knownFlags          = 0x7FF
)

// Offsets of fixed fields.
const (
	offMagic       = 4
	offBodyCRC     = 8
	offQueueID     = 12
	offFlag        = 16
	offQueueOffset = 20
	offPosition    = 28
	offSysFlag     = 36
	offBornTime    = 40
	offBornHost    = 48
	minSize        = 48 + 8 + 8 + 8 + 4 + 8 + 4 + 1 + 2
)

// ErrTruncated is returned for bytes that end inside a message.
var ErrTruncated = errors.New("message: bytes end inside the message")

// View is one stored message in place.
type View []byte

// Parse returns the message at the start of b, cut to its length, after checking every length in it.
func Parse(b []byte) (View, error) {
	if len(b) < minSize {
		return nil, ErrTruncated
	}
	total := int(int32(binary.BigEndian.Uint32(b)))
	if total < minSize || total > len(b) {
		return nil, fmt.Errorf("message: total size %d of %d bytes: %w", total, len(b), ErrTruncated)
	}
	v := View(b[:total:total])
	if m := v.Magic(); m != MagicV1 && m != MagicV2 {
		return nil, fmt.Errorf("message: magic %#x", m)
	}
	at := v.bodyAt()
	if at+4 > total {
		return nil, ErrTruncated
	}
	n := int(int32(binary.BigEndian.Uint32(v[at:])))
	if n < 0 || n > total-at-4 {
		return nil, fmt.Errorf("message: body length %d: %w", n, ErrTruncated)
	}
	at += 4 + n
	width := v.topicWidth()
	if at+width > total {
		return nil, ErrTruncated
	}
	at += width + v.topicLen(at)
	if at+2 > total || at+2+int(binary.BigEndian.Uint16(v[at:])) != total {
		return nil, fmt.Errorf("message: properties do not end the message: %w", ErrTruncated)
	}
	return v, nil
}

func hostSize(v6 bool) int {
	if v6 {
		return 20
	}
	return 8
}

func (v View) storeTimeAt() int { return offBornHost + hostSize(v.SysFlag()&FlagBornHostV6 != 0) }
func (v View) storeHostAt() int { return v.storeTimeAt() + 8 }
func (v View) afterHosts() int {
	return v.storeHostAt() + hostSize(v.SysFlag()&FlagStoreHostV6 != 0)
}
func (v View) bodyAt() int { return v.afterHosts() + 12 }
func (v View) topicWidth() int {
	if v.Magic() == MagicV2 {
		return 2
	}
	return 1
}
func (v View) topicLen(at int) int {
	if v.Magic() == MagicV2 {
		return int(binary.BigEndian.Uint16(v[at:]))
	}
	return int(v[at])
}
func (v View) topicAt() int { at := v.bodyAt(); return at + 4 + v.BodySize() }

// Magic is MagicV1 or MagicV2.
func (v View) Magic() uint32 { return binary.BigEndian.Uint32(v[offMagic:]) }

// BodyCRC is CRC-32 (IEEE) of the body without its top bit.
func (v View) BodyCRC() uint32 { return binary.BigEndian.Uint32(v[offBodyCRC:]) }

// Whole says that the body is the one that was stored.
func (v View) Whole() bool { return crc32.ChecksumIEEE(v.Body())&0x7fffffff == v.BodyCRC() }

// QueueID is the queue within the topic.
func (v View) QueueID() int32 { return int32(binary.BigEndian.Uint32(v[offQueueID:])) }

// Flag is the user's flag.
func (v View) Flag() int32 { return int32(binary.BigEndian.Uint32(v[offFlag:])) }

// QueueOffset is the message's number within its queue.
func (v View) QueueOffset() int64 { return int64(binary.BigEndian.Uint64(v[offQueueOffset:])) }

// Position is the message's physical offset: its logical position in the log.
func (v View) Position() int64 { return int64(binary.BigEndian.Uint64(v[offPosition:])) }

// SysFlag holds the system's flags.
func (v View) SysFlag() int32 { return int32(binary.BigEndian.Uint32(v[offSysFlag:])) }

// BornTime is the producer's clock, ms.
func (v View) BornTime() int64 { return int64(binary.BigEndian.Uint64(v[offBornTime:])) }

// StoreTime is the leader's clock at append, ms.
func (v View) StoreTime() int64 { return int64(binary.BigEndian.Uint64(v[v.storeTimeAt():])) }

// BornHost is the producer's address as the broker saw it.
func (v View) BornHost() netip.AddrPort {
	return readHost(v[offBornHost:], v.SysFlag()&FlagBornHostV6 != 0)
}

// StoreHost is the broker's advertised address.
func (v View) StoreHost() netip.AddrPort {
	return readHost(v[v.storeHostAt():], v.SysFlag()&FlagStoreHostV6 != 0)
}

// ReconsumeTimes counts the retries before this copy.
func (v View) ReconsumeTimes() int32 { return int32(binary.BigEndian.Uint32(v[v.afterHosts():])) }

// PreparedOffset is the position of the half message that this one commits, or 0.
func (v View) PreparedOffset() int64 { return int64(binary.BigEndian.Uint64(v[v.afterHosts()+4:])) }

// BodySize is the length of the stored (perhaps compressed) body.
func (v View) BodySize() int { return int(binary.BigEndian.Uint32(v[v.bodyAt():])) }

// Body is the stored body.
func (v View) Body() []byte { at := v.bodyAt() + 4; return v[at : at+v.BodySize()] }

// Topic is the topic's name.
func (v View) Topic() []byte {
	at := v.topicAt()
	n := v.topicLen(at)
	at += v.topicWidth()
	return v[at : at+n]
}

// Properties is the encoded property run.
func (v View) Properties() []byte {
	at := v.topicAt()
	at += v.topicWidth() + v.topicLen(at)
	return v[at+2:]
}

func readHost(b []byte, v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])), uint16(binary.BigEndian.Uint32(b[16:])))
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(binary.BigEndian.Uint32(b[4:])))
}

func putHost(b []byte, h netip.AddrPort) int {
	if a := h.Addr().Unmap(); a.Is4() {
		a4 := a.As4()
		copy(b, a4[:])
		binary.BigEndian.PutUint32(b[4:], uint32(h.Port()))
		return 8
	}
	a16 := h.Addr().As16()
	copy(b, a16[:])
	binary.BigEndian.PutUint32(b[16:], uint32(h.Port()))
	return 20
}
