package trail

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// Carrier names the convention by which a message brought its trace context; "" when it brought none.
type Carrier string

// Carriers, in the order in which they are asked.
const (
	CarrierW3C    Carrier = "traceparent"
	CarrierGRPC   Carrier = "TRACE_CONTEXT" // W3C's form in RocketMQ's own property
	CarrierB3     Carrier = "b3"
	CarrierB3Many Carrier = "X-B3"
	CarrierJaeger Carrier = "uber-trace-id"
	CarrierSW8    Carrier = "sw8"
)

// Context is a message's incoming trace context. It is read, never rewritten.
type Context struct {
	Carrier   Carrier
	TraceID   TraceID
	ParentID  SpanID // zero: the carrier has none (sw8's parent is no 64-bit number)
	HasParent bool
	Flags     uint8  // W3C's: 1 sampled
	Raw       []byte // sw8's own trace id; points into what was parsed
}

// Carried collects the properties that may hold a context while somebody walks over all properties of a message.
// The zero value is empty. Values are not copied.
type Carried struct {
	traceparent, traceContext, b3, jaeger, sw8 []byte
	b3Trace, b3Span, b3Sampled, b3Flags        []byte
	any                                        bool
}

// Take keeps the value when the property may hold a context. Names are case-sensitive, as RocketMQ's are.
func (c *Carried) Take(name, value []byte) {
	var at *[]byte
	switch string(name) {
	case "traceparent":
		at = &c.traceparent
	case "TRACE_CONTEXT":
		at = &c.traceContext
	case "b3":
		at = &c.b3
	case "X-B3-TraceId":
		at = &c.b3Trace
	case "X-B3-SpanId":
		at = &c.b3Span
	case "X-B3-Sampled":
		at = &c.b3Sampled
	case "X-B3-Flags":
		at = &c.b3Flags
	case "uber-trace-id":
		at = &c.jaeger
	case "sw8":
		at = &c.sw8
	default:
		return
	}
	*at, c.any = value, true
}

// Context is the first valid context in the order of the carriers.
func (c *Carried) Context() (Context, bool) {
	if !c.any {
		return Context{}, false
	}
	if x, ok := parseW3C(c.traceparent); ok {
		x.Carrier = CarrierW3C
		return x, true
	}
	if x, ok := parseW3C(c.traceContext); ok {
		x.Carrier = CarrierGRPC
		return x, true
	}
	if x, ok := parseB3(c.b3); ok {
		return x, true
	}
	if x, ok := c.manyB3(); ok {
		return x, true
	}
	if x, ok := parseJaeger(c.jaeger); ok {
		return x, true
	}
	return parseSW8(c.sw8)
}

// parseW3C reads version-traceid-parentid-flags (https://www.w3.org/TR/trace-context/).
func parseW3C(b []byte) (x Context, ok bool) {
	const size = 55
	if len(b) < size || b[2] != '-' || b[35] != '-' || b[52] != '-' || !lowerHex(b[:2]) || !lowerHex(b[3:35]) || !lowerHex(b[36:52]) || !lowerHex(b[53:55]) {
		return x, false
	}
	version := string(b[:2])
	if version == "ff" || (version == "00" && len(b) != size) || (len(b) > size && b[size] != '-') {
		return x, false
	}
	var flags [1]byte
	hex.Decode(x.TraceID[:], b[3:35])
	hex.Decode(x.ParentID[:], b[36:52])
	hex.Decode(flags[:], b[53:55])
	x.Flags, x.HasParent = flags[0], true
	return x, x.TraceID != TraceID{} && x.ParentID != SpanID{}
}

func lowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseB3 reads traceid-spanid[-sampled[-parent]]; a lone sampling decision names no trace.
func parseB3(b []byte) (x Context, ok bool) {
	trace, rest, _ := bytes.Cut(b, []byte("-"))
	span, rest, _ := bytes.Cut(rest, []byte("-"))
	sampled, _, _ := bytes.Cut(rest, []byte("-"))
	x, ok = b3(trace, span)
	x.Carrier = CarrierB3
	if s := string(sampled); s == "1" || s == "d" {
		x.Flags = 1
	}
	return x, ok
}

func (c *Carried) manyB3() (x Context, ok bool) {
	x, ok = b3(c.b3Trace, c.b3Span)
	x.Carrier = CarrierB3Many
	if s := string(c.b3Sampled); s == "1" || s == "true" || string(c.b3Flags) == "1" {
		x.Flags = 1
	}
	return x, ok
}

func b3(trace, span []byte) (x Context, ok bool) {
	if (len(trace) != 32 && len(trace) != 16) || len(span) != 16 {
		return x, false
	}
	ok = paddedHex(x.TraceID[:], trace) && paddedHex(x.ParentID[:], span)
	x.HasParent = true
	return x, ok && x.TraceID != TraceID{} && x.ParentID != SpanID{}
}

// paddedHex decodes at most 2*len(dst) hex digits, padding with zeros on the left.
func paddedHex(dst, b []byte) bool {
	if len(b) == 0 || len(b) > 2*len(dst) {
		return false
	}
	var digits [32]byte
	d := digits[:2*len(dst)]
	for i := range d {
		d[i] = '0'
	}
	copy(d[len(d)-len(b):], b)
	_, err := hex.Decode(dst, d)
	return err == nil
}

// parseJaeger reads traceid:spanid:parent:flags, all hex without leading zeros; HTTP carriers escape the colons.
func parseJaeger(b []byte) (x Context, ok bool) {
	separator := []byte(":")
	if !bytes.Contains(b, separator) {
		if separator = []byte("%3A"); !bytes.Contains(b, separator) {
			separator = []byte("%3a")
		}
	}
	trace, rest, _ := bytes.Cut(b, separator)
	span, rest, _ := bytes.Cut(rest, separator)
	_, flags, ok := bytes.Cut(rest, separator)
	if !ok || !paddedHex(x.TraceID[:], trace) || !paddedHex(x.ParentID[:], span) {
		return Context{}, false
	}
	var f [1]byte
	if !paddedHex(f[:], flags) {
		return Context{}, false
	}
	x.Carrier, x.Flags, x.HasParent = CarrierJaeger, f[0]&1, true
	return x, x.TraceID != TraceID{} && x.ParentID != SpanID{}
}

const sw8TraceIDMax = 256 // bytes, decoded

// parseSW8 reads sample-b64(traceId)-…: SkyWalking's trace id is a text, its hash becomes the 128 bits.
func parseSW8(b []byte) (x Context, ok bool) {
	sample, rest, ok := bytes.Cut(b, []byte("-"))
	encoded, _, more := bytes.Cut(rest, []byte("-"))
	if !ok || !more || len(sample) != 1 || (sample[0] != '0' && sample[0] != '1') || len(encoded) == 0 || len(encoded) > sw8TraceIDMax*4/3 {
		return x, false
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil || len(raw) == 0 {
		return x, false
	}
	x.Carrier, x.TraceID, x.Flags, x.Raw = CarrierSW8, hash128(raw), sample[0]-'0', raw
	return x, true
}
