package grpcapi

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"github.com/dchest/siphash"

	"github.com/contrailmq/contrail/broker/service"
)

// A receipt is the pop's handle behind a keyed hash of it (SipHash-2-4-128), in base64url: opaque to clients, the same on every node, and not to be made up.
// One handle has one receipt: bits beyond the last byte and line breaks, which base64 ignores, make it another's.
const (
	keyBytes   = 16
	receiptSum = 16 // bytes of the hash
	receiptMax = 2048
)

var receiptEncoding = base64.RawURLEncoding.Strict()

func (s *Server) sign(text []byte) (sum [receiptSum]byte) {
	lo, hi := siphash.Hash128(binary.LittleEndian.Uint64(s.o.Key), binary.LittleEndian.Uint64(s.o.Key[8:]), text)
	binary.LittleEndian.PutUint64(sum[:], lo)
	binary.LittleEndian.PutUint64(sum[8:], hi)
	return sum
}

// receiptOf makes a receipt.
func (s *Server) receiptOf(h service.Handle) string { return string(s.appendReceipt(nil, &h)) }

func (s *Server) appendReceipt(dst []byte, h *service.Handle) []byte {
	var plain [128]byte
	b := h.AppendTo(plain[:receiptSum])
	sum := s.sign(b[receiptSum:])
	copy(b, sum[:])
	return receiptEncoding.AppendEncode(dst, b)
}

// readReceipt is the inverse; a refusal: it is none of ours.
func (s *Server) readReceipt(receipt string) (h service.Handle, st *pb.Status) {
	if len(receipt) == 0 || len(receipt) > receiptMax {
		return h, refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle of %d bytes: from 1 to %d are possible", len(receipt), receiptMax)
	}
	b, err := receiptEncoding.DecodeString(receipt)
	if err != nil || len(b) <= receiptSum || strings.ContainsAny(receipt, "\r\n") {
		return h, receiptInvalid
	}
	sum := s.sign(b[receiptSum:])
	if subtle.ConstantTimeCompare(b[:receiptSum], sum[:]) != 1 {
		return h, receiptInvalid
	}
	h, refused := service.ParseHandle(string(b[receiptSum:]))
	if refused != nil || h.Offset < 0 {
		return h, receiptInvalid
	}
	return h, nil
}

// expired says that the time is over within which a handle settles its message.
func expired(h *service.Handle, now time.Time) bool {
	return h.PopMillis+h.InvisibleMillis <= now.UnixMilli()
}

var (
	receiptExpired = refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle is expired")
	receiptInvalid = refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle is invalid")
)
