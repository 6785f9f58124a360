package remoting

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Properties of requests and replies (org.apache.rocketmq.common.message.MessageConst).
const (
	propReplyTo  = "REPLY_TO_CLIENT"
	propPushTime = "PUSH_REPLY_TIME"
)

// sendReply: SEND_REPLY_MESSAGE. Header and body as 10: the answer to a request message, whose REPLY_TO_CLIENT names the client that
// waits. Pushes it to that client (326) and stores it, both at once. Answers 0 as 10 does when the client took it; 1, with a text that says
// why, when it did not, though it is stored all the same; 16, 17.
//
// The client is found by the id of its heartbeats, or by the REPLY_TO_CLIENT that its connection has sent with a request (conn.go): Go's
// producers tell their id up to 31 s after their start. Checked against ReplyMessageProcessor, which stores after the push.
func (c *conn) sendReply(call *rpc.Call, f *wire.Frame) {
	h := &c.header
	a := args{f: f}
	*h = service.SendHeader{
		ProducerGroup: f.Get("producerGroup"), Topic: f.Get("topic"), DefaultTopic: f.Get("defaultTopic"), Properties: f.Get("properties"),
		DefaultTopicQueueNums: a.int32("defaultTopicQueueNums", 0), QueueID: a.int32("queueId", -1), SysFlag: a.int32("sysFlag", 0),
		BornTime: a.int("bornTimestamp", 0), Flag: a.int32("flag", 0), ReconsumeTimes: a.int32("reconsumeTimes", 0),
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	c.replyTo(call, f)
}

// replyTo brings the reply in c.header to who waits for it.
func (c *conn) replyTo(call *rpc.Call, f *wire.Frame) {
	h := &c.header
	t, ok := c.s.svc.Topic(string(h.Topic))
	switch {
	case !ok:
		c.refuse(call, service.Refuse(service.CodeTopicNotExist, "topic[%.127s] not exist", h.Topic))
		return
	case t.Perm&catalog.PermWrite == 0:
		c.refuse(call, service.Refuse(service.CodeNoPermission, "the topic[%s] sending message is forbidden: its permission is %d", t.Name, t.Perm))
		return
	}
	h.ReceivedMicros = c.now()
	r := &replying{conn: c, who: c.who, call: *call, left: 2}
	p := c.s.svc.Parcel(c.who)
	p.Add(h, f.Body, service.Token{Request: f.Code})
	fields := pushFields(h, c.who.AddrText(), p.Results[0].StoreHost.String())
	body, id := bytes.Clone(f.Body), string(message.Property(h.Properties, propReplyTo))
	c.rpc.Owe(1)
	p.Submit(r.stored)
	if id == "" {
		r.pushed("reply message properties[REPLY_TO_CLIENT] is null")
		return
	}
	to, ok := c.s.client(id)
	if !ok {
		r.pushed("push reply message fail, channel of <" + id + "> not found.")
		return
	}
	to.ask(wire.PushReply, fields, body, replyMax, func(got *reply, err *service.Error) {
		switch {
		case err != nil:
			r.pushed("push reply message to " + id + " fail: " + err.Text)
		case got.code != service.CodeSuccess:
			r.pushed("push reply message to " + id + " fail: " + got.remark)
		default:
			r.pushed("")
		}
	})
}

// replying waits until a reply is stored and pushed.
type replying struct {
	conn *conn
	who  *service.Client
	call rpc.Call
	mu   sync.Mutex
	left int
	why  string // it was not pushed
	sent []rpc.Field
}

// stored is called by the shard's goroutine. That a reply is not stored is no reason to send it again when it has been taken.
func (r *replying) stored(p *service.Parcel) {
	s := &p.Results[0]
	id, queueID, offset := "0", s.QueueID, int64(0)
	if s.Code == service.CodeSuccess {
		id, offset = string(message.AppendOffsetID(nil, s.StoreHost, s.Position)), s.QueueOffset
	}
	p.Release()
	r.mu.Lock()
	r.sent = []rpc.Field{
		{Name: "msgId", Value: id}, {Name: "queueId", Value: strconv.Itoa(int(queueID))}, {Name: "queueOffset", Value: strconv.FormatInt(offset, 10)},
		{Name: "MSG_REGION", Value: "DefaultRegion"}, {Name: "TRACE_ON", Value: "true"},
	}
	r.doneLocked()
}

func (r *replying) pushed(why string) {
	r.mu.Lock()
	r.why = why
	r.doneLocked()
}

// doneLocked gives the lock back; the second call answers.
func (r *replying) doneLocked() {
	r.left--
	last := r.left == 0
	r.mu.Unlock()
	if !last {
		return
	}
	if r.why == "" {
		r.call.OK(nil, r.sent...)
	} else {
		r.call.Fail(service.CodeSystemError, "%s", r.why)
		r.conn.refused(r.who, int(r.call.Code), "", "", service.Refuse(service.CodeSystemError, "%s", r.why))
	}
	r.conn.rpc.Owe(-1)
}

// pushFields is the header of 326, PUSH_REPLY_MESSAGE_TO_CLIENT (ReplyMessageRequestHeader).
func pushFields(h *service.SendHeader, born, store string) []rpc.Field {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	number := func(name string, n int64) rpc.Field { return rpc.Field{Name: name, Value: strconv.FormatInt(n, 10)} }
	return []rpc.Field{
		{Name: "producerGroup", Value: string(h.ProducerGroup)}, {Name: "topic", Value: string(h.Topic)}, {Name: "defaultTopic", Value: string(h.DefaultTopic)},
		number("defaultTopicQueueNums", int64(h.DefaultTopicQueueNums)), number("queueId", int64(h.QueueID)), number("sysFlag", int64(h.SysFlag)),
		number("bornTimestamp", h.BornTime), number("flag", int64(h.Flag)), number("reconsumeTimes", int64(h.ReconsumeTimes)),
		{Name: "properties", Value: string(message.AppendProperty(bytes.Clone(h.Properties), propPushTime, now))}, {Name: "unitMode", Value: "false"},
		{Name: "bornHost", Value: born}, {Name: "storeHost", Value: store}, {Name: "storeTimestamp", Value: now},
	}
}
