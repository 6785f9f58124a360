package rpc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// Call is what an answer needs of its request after the frame is gone. The zero Call answers nobody.
type Call struct {
	Conn    *Conn
	Code    int32
	Opaque  int32
	Type    uint8
	Oneway  bool
	started time.Time
}

// Field is one ext field of an answer.
type Field struct {
	Name, Value string
}

// Call keeps what is needed to answer f.
func (c *Conn) Call(f *wire.Frame) Call {
	return Call{Conn: c, Code: f.Code, Opaque: f.Opaque, Type: f.Type, Oneway: f.Oneway(), started: time.Now()}
}

// Fail answers with a code and the reason.
func (c *Call) Fail(code int, format string, args ...any) {
	remark := format
	if len(args) > 0 {
		remark = fmt.Sprintf(format, args...)
	}
	c.answer(code, remark, nil, nil)
}

// OK answers with success.
func (c *Call) OK(body []byte, fields ...Field) { c.answer(0, "", body, fields) }

// JSON answers with success and v as the body.
func (c *Call) JSON(v any, fields ...Field) {
	body, err := json.Marshal(v)
	if err != nil {
		c.Fail(1, "the answer could not be encoded: %v", err)
		return
	}
	c.OK(body, fields...)
}

// Answer gives a code that is neither plain success nor a bare failure.
func (c *Call) Answer(code int, remark string, body []byte, fields ...Field) {
	c.answer(code, remark, body, fields)
}

// Took is how long ago the request was read.
func (c *Call) Took() time.Duration { return time.Since(c.started) }

func (c *Call) answer(code int, remark string, body []byte, fields []Field) {
	if c.Conn == nil {
		return
	}
	c.Conn.s.answered(c.Code, int32(code), time.Since(c.started), false)
	if c.Oneway {
		return
	}
	c.Conn.Reply(func(dst []byte) []byte {
		w := wire.Response(dst, c.Type, c.Opaque, int32(code), remark)
		for _, f := range fields {
			w.String(f.Name, f.Value)
		}
		return append(w.End(len(body)), body...)
	})
}

// Answered counts a request that was answered with Reply or Delivery instead of through a Call.
func (c *Conn) Answered(code, response int32, took time.Duration, held bool) {
	c.s.answered(code, response, took, held)
}

func (s *Server) answered(code, response int32, took time.Duration, held bool) {
	if f := s.opts.Answered; f != nil {
		f(code, response, took.Microseconds(), held)
	}
}
