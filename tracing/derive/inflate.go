package derive

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/contrailmq/contrail/broker/message"
)

// inflatedMax is the longest body that is looked at; clients write at most 128 000 bytes.
const inflatedMax = 4 << 20

var errLarge = errors.New("derive: a trace message inflates to more than 4 MiB")

// inflater gives plain bodies; its readers and its buffer are used again.
type inflater struct {
	in   bytes.Reader
	out  bytes.Buffer
	zlib io.ReadCloser
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

// body is a message's body, inflated when its flags say that it is compressed. It is valid until the next call.
func (f *inflater) body(v message.View) ([]byte, error) {
	if v.SysFlag()&message.FlagCompressed == 0 {
		return v.Body(), nil
	}
	f.in.Reset(v.Body())
	r, err := f.reader(v.SysFlag() & message.FlagCompressionMask)
	if err != nil {
		return nil, err
	}
	f.out.Reset()
	n, err := f.out.ReadFrom(io.LimitReader(r, inflatedMax+1))
	if err != nil {
		return nil, fmt.Errorf("inflate a body of %d bytes: %w", v.BodySize(), err)
	}
	if n > inflatedMax {
		return nil, errLarge
	}
	return f.out.Bytes(), nil
}

func (f *inflater) reader(kind int32) (io.Reader, error) {
	var err error
	switch kind {
	case 0x100:
		if f.lz4 == nil {
			f.lz4 = lz4.NewReader(nil)
		}
		f.lz4.Reset(&f.in)
		return f.lz4, nil
	case 0x200:
		if f.zstd == nil {
			f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(inflatedMax))
		}
		if err == nil {
			err = f.zstd.Reset(&f.in)
		}
		return f.zstd, err
	}
	if f.zlib == nil {
		f.zlib, err = zlib.NewReader(&f.in)
		return f.zlib, err
	}
	return f.zlib, f.zlib.(zlib.Resetter).Reset(&f.in, nil)
}
