package remoting

import (
	"bytes"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// later is a request that is answered when its deed is done, by any goroutine.
type later struct {
	c            *conn
	call         rpc.Call
	who          *service.Client
	relayed      bool
	raw          []byte // for the leader, when this member was voted out before it was done; nil in a group of one
	topic, group string
}

// later keeps what the answer to f needs. A shutdown waits for it, unless the request may be held.
func (c *conn) later(call *rpc.Call, f *wire.Frame, topic, group string) *later {
	l := &later{c: c, call: *call, who: c.who, relayed: c.relayed, topic: topic, group: group}
	if c.s.relay != nil && !c.relayed {
		l.raw = bytes.Clone(f.Raw)
	}
	l.owe(1)
	return l
}

func (l *later) owe(n int) {
	if !held[l.call.Code] {
		l.c.rpc.Owe(n)
	}
}

// done answers with nothing but success, or fails.
func (l *later) done(err *service.Error) {
	if err != nil {
		l.fail(err)
		return
	}
	l.ok(nil)
}

func (l *later) ok(body []byte, fields ...rpc.Field) {
	l.call.OK(body, fields...)
	l.owe(-1)
}

// fail answers with an error, and tells the trail. What the leader may still do goes to the leader.
func (l *later) fail(err *service.Error) {
	switch {
	case err.NotLed() && l.raw != nil:
		l.c.again(l.raw)
	case err.NotLed() && l.relayed:
		l.c.notLed(&l.call)
	default:
		l.call.Fail(err.Code, "%s", err.Text)
		l.c.refused(l.who, int(l.call.Code), l.topic, l.group, err)
	}
	l.owe(-1)
}
