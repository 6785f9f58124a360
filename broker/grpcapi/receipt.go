package grpcapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// A receipt is the pop's handle behind a keyed hash of it, in base64url: opaque to clients, the same on every node, and not to be made up.
const (
	receiptSum = 10 // bytes of the hash
	receiptMax = 2048
)

func (s *Server) sign(handle string) []byte {
	h := hmac.New(sha256.New, s.o.Key)
	h.Write([]byte(handle))
	return h.Sum(nil)[:receiptSum]
}

// receiptOf makes a receipt.
func (s *Server) receiptOf(h service.Handle) string {
	text := h.String()
	return base64.RawURLEncoding.EncodeToString(append(s.sign(text), text...))
}

// readReceipt is the inverse; a refusal: it is none of ours.
func (s *Server) readReceipt(receipt string) (h service.Handle, text string, st *pb.Status) {
	bad := refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle is invalid")
	if len(receipt) == 0 || len(receipt) > receiptMax {
		return h, "", refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle of %d bytes: from 1 to %d are possible", len(receipt), receiptMax)
	}
	b, err := base64.RawURLEncoding.DecodeString(receipt)
	if err != nil || len(b) <= receiptSum {
		return h, "", bad
	}
	text = string(b[receiptSum:])
	if !hmac.Equal(b[:receiptSum], s.sign(text)) {
		return h, "", bad
	}
	h, refused := service.ParseHandle(text)
	if refused != nil || h.Offset < 0 {
		return h, "", bad
	}
	return h, text, nil
}

// expired says that the time is over within which a handle settles its message.
func expired(h *service.Handle, now time.Time) bool {
	return h.PopMillis+h.InvisibleMillis <= now.UnixMilli()
}

var receiptExpired = refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle is expired")
