package wire

import (
	"encoding/binary"
	"strconv"
)

// Version and language that answers carry: a release that every client examined accepts (rocketmq.md 1.3).
const (
	OwnVersion  = 513 // V5_5_0
	ownLanguage = 9   // GO
)

// Writer appends one frame. Use: Begin, fields, End, then append the body.
type Writer struct {
	buf    []byte
	start  int
	ext    int // place of the ext length (binary)
	typ    uint8
	fields bool
	opaque int32
	flag   int32
	remark string
	code   int32
}

// Response begins the answer to request f.
func Response(dst []byte, typ uint8, opaque, code int32, remark string) Writer {
	return begin(dst, typ, opaque, code, FlagResponse, remark)
}

// Oneway begins a request of the server's to which no answer is expected.
func Oneway(dst []byte, opaque, code int32) Writer {
	return begin(dst, JSON, opaque, code, FlagOneway, "")
}

// Request begins a request.
func Request(dst []byte, typ uint8, opaque, code int32) Writer {
	return begin(dst, typ, opaque, code, 0, "")
}

// Forward begins f again, in the binary form whatever it came in, with what its client said of itself and with its fields; what
// answers it has another number.
func Forward(dst []byte, f *Frame, opaque int32) Writer {
	w := begin(dst, Binary, opaque, f.Code, f.Flag, "")
	own := w.buf[w.start+8:]
	own[2] = f.languageNumber()
	binary.BigEndian.PutUint16(own[3:], uint16(f.Version))
	for _, field := range f.Fields {
		if field.Value != nil { // JSON's null is a field that is not there
			w.Field(field.Name, field.Value)
		}
	}
	return w
}

// OpaqueAt is where the number of a frame in the binary form stands, length and all.
const OpaqueAt = 13

func begin(dst []byte, typ uint8, opaque, code, flag int32, remark string) Writer {
	w := Writer{start: len(dst), typ: typ, opaque: opaque, flag: flag, remark: remark, code: code}
	dst = append(dst, 0, 0, 0, 0, typ, 0, 0, 0)
	if typ == Binary {
		be := binary.BigEndian
		dst = be.AppendUint16(dst, uint16(code))
		dst = append(dst, ownLanguage)
		dst = be.AppendUint16(dst, OwnVersion)
		dst = be.AppendUint32(dst, uint32(opaque))
		dst = be.AppendUint32(dst, uint32(flag))
		dst = be.AppendUint32(dst, uint32(len(remark)))
		dst = append(dst, remark...)
		w.ext = len(dst)
		w.buf = append(dst, 0, 0, 0, 0)
		return w
	}
	dst = append(dst, `{"code":`...)
	w.buf = strconv.AppendInt(dst, int64(code), 10)
	return w
}

// name begins a field.
func (w *Writer) name(name string) {
	if w.typ == Binary {
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(name)))
		w.buf = append(w.buf, name...)
		return
	}
	if w.fields {
		w.buf = append(w.buf, ',')
	} else {
		w.buf = append(w.buf, `,"extFields":{`...)
		w.fields = true
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

// Field appends a field as a frame had it.
func (w *Writer) Field(name, value []byte) {
	if w.typ == Binary {
		be := binary.BigEndian
		w.buf = append(be.AppendUint16(w.buf, uint16(len(name))), name...)
		w.buf = append(be.AppendUint32(w.buf, uint32(len(value))), value...)
		return
	}
	w.Bytes(string(name), value)
}

// Int appends a field with a number; in JSON it is a string, because clients read strings only.
func (w *Writer) Int(name string, v int64) {
	w.name(name)
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], v, 10)
	if w.typ == Binary {
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(text)))
		w.buf = append(w.buf, text...)
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, '"')
}

// Bytes appends a field with text.
func (w *Writer) Bytes(name string, v []byte) {
	w.name(name)
	if w.typ == Binary {
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(v)))
		w.buf = append(w.buf, v...)
		return
	}
	w.buf = appendBytes(w.buf, v)
}

// String appends a field with text.
func (w *Writer) String(name, v string) {
	w.name(name)
	if w.typ == Binary {
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(v)))
		w.buf = append(w.buf, v...)
		return
	}
	w.buf = appendString(w.buf, v)
}

// Bool appends true or false.
func (w *Writer) Bool(name string, v bool) { w.String(name, strconv.FormatBool(v)) }

// End closes the header; the caller appends bodyLen bytes of body behind it.
func (w *Writer) End(bodyLen int) []byte {
	be := binary.BigEndian
	if w.typ == Binary {
		be.PutUint32(w.buf[w.ext:], uint32(len(w.buf)-w.ext-4))
	} else {
		if w.fields {
			w.buf = append(w.buf, '}')
		}
		w.buf = append(w.buf, `,"flag":`...)
		w.buf = strconv.AppendInt(w.buf, int64(w.flag), 10)
		w.buf = append(w.buf, `,"language":"GO","opaque":`...)
		w.buf = strconv.AppendInt(w.buf, int64(w.opaque), 10)
		if w.remark != "" {
			w.buf = append(w.buf, `,"remark":`...)
			w.buf = appendString(w.buf, w.remark)
		}
		w.buf = append(w.buf, `,"serializeTypeCurrentRPC":"JSON","version":513}`...)
	}
	n := len(w.buf) - w.start - 8
	be.PutUint32(w.buf[w.start:], uint32(4+n+bodyLen))
	be.PutUint32(w.buf[w.start+4:], uint32(w.typ)<<24|uint32(n))
	return w.buf
}
