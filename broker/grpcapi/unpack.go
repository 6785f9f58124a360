package grpcapi

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/contrailmq/contrail/broker/message"
)

// Compressions by their bits of a message's sysFlag (org.apache.rocketmq.common.compression.CompressionType); 0 is zlib, too.
const (
	compressedLZ4  = 0x100
	compressedZstd = 0x200
	unpackedMax    = 16 << 20 // a body may be compressed a thousandfold
)

var errUnpacked = errors.New("the body is larger than the limit when it is unpacked")

// unpack gives a body that a remoting client compressed.
func unpack(b []byte, sysFlag int32) ([]byte, error) {
	var r io.Reader
	switch sysFlag & message.FlagCompressionMask {
	case compressedLZ4:
		r = lz4.NewReader(bytes.NewReader(b))
	case compressedZstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	default:
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		r = z
	}
	plain, err := io.ReadAll(io.LimitReader(r, unpackedMax+1))
	if err == nil && len(plain) > unpackedMax {
		err = errUnpacked
	}
	return plain, err
}
