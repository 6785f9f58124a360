package wire

import (
	"encoding/binary"
	"fmt"
)

// decodeBinary reads: code 2 | language 1 | version 2 | opaque 4 | flag 4 | remark length 4, remark | ext length 4,
// { key length 2, key | value length 4, value }.
func (f *Frame) decodeBinary(b []byte) error {
	be := binary.BigEndian
	if len(b) < 21 {
		return fmt.Errorf("%w: binary header of %d bytes", ErrFrame, len(b))
	}
	f.Code, f.Lang, f.Version = int32(be.Uint16(b)), b[2], int32(be.Uint16(b[3:]))
	f.Opaque, f.Flag = int32(be.Uint32(b[5:])), int32(be.Uint32(b[9:]))
	rest := b[13:]
	var err error
	if f.Remark, rest, err = take(rest, 4); err != nil {
		return err
	}
	ext, rest, err := take(rest, 4)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes behind the binary header", ErrFrame, len(rest))
	}
	for len(ext) > 0 {
		var field Field
		if field.Name, ext, err = take(ext, 2); err != nil {
			return err
		}
		if field.Value, ext, err = take(ext, 4); err != nil {
			return err
		}
		if len(f.Fields) == FieldsMax {
			return fmt.Errorf("%w: more than %d ext fields", ErrFrame, FieldsMax)
		}
		f.Fields = append(f.Fields, field)
	}
	return nil
}

// take splits off a string behind its length of w bytes.
func take(b []byte, w int) (s, rest []byte, err error) {
	if len(b) < w {
		return nil, nil, fmt.Errorf("%w: binary header is cut", ErrFrame)
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	if w == 4 {
		n = int(int32(binary.BigEndian.Uint32(b)))
	}
	if n < 0 || n > len(b)-w {
		return nil, nil, fmt.Errorf("%w: string of %d bytes, %d are left", ErrFrame, n, len(b)-w)
	}
	return b[w : w+n : w+n], b[w+n:], nil
}
