package remoting

import (
	"time"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

func (c *conn) pull(f *wire.Frame) {
	req := &service.PullRequest{Client: c.who, ReceivedMicros: c.now()}
	err := c.parsePull(req, f)
	if err == nil {
		err = c.subscription(req)
	}
	if err != nil {
		call := c.rpc.Call(f)
		c.refuseOf(&call, req.Topic, req.Group, err)
		return
	}
	c.submit()
	code, opaque, typ := f.Code, f.Opaque, f.Type
	c.s.svc.Pull(req, func(r *service.PullResult) { c.pulled(req, r, code, opaque, typ) })
}

// parsePull reads PullMessageRequestHeader.
func (c *conn) parsePull(req *service.PullRequest, f *wire.Frame) *service.Error {
	var err error
	for i := range f.Fields {
		name, v := f.Fields[i].Name, f.Fields[i].Value
		switch string(name) {
		case "consumerGroup":
			req.Group = c.name(v)
		case "topic":
			req.Topic = c.name(v)
		case "queueId":
			int32Into(&req.QueueID, "queueId", v, &err)
		case "queueOffset":
			int64Into(&req.Offset, "queueOffset", v, &err)
		case "maxMsgNums":
			int32Into(&req.MaxMessages, "maxMsgNums", v, &err)
		case "maxMsgBytes":
			int32Into(&req.MaxBytes, "maxMsgBytes", v, &err)
		case "sysFlag":
			int32Into(&req.SysFlag, "sysFlag", v, &err)
		case "commitOffset":
			int64Into(&req.CommitOffset, "commitOffset", v, &err)
		case "suspendTimeoutMillis":
			int64Into(&req.SuspendMillis, "suspendTimeoutMillis", v, &err)
		case "subscription":
			req.Subscription = c.name(v)
		case "subVersion":
			int64Into(&req.SubVersion, "subVersion", v, &err)
		case "expressionType":
			req.ExpressionType = c.name(v)
		}
	}
	if err != nil {
		return service.Refuse(service.CodeSystemError, "%v", err)
	}
	return nil
}

// subscription takes the group's registered one when the request brings none (rocketmq.md 6.2: 24, 25, 27). There is no
// 28: what is compiled is always the newest that is registered.
func (c *conn) subscription(req *service.PullRequest) *service.Error {
	if req.SysFlag&service.PullSubscription != 0 {
		return nil
	}
	sub, found, online := c.s.clients.Subscription(req.Group, req.Topic)
	switch {
	case !online:
		return service.Refuse(service.CodeSubscriptionNotExist, "the consumer's group info not exist, group: %s", req.Group)
	case !found:
		return service.Refuse(service.CodeSubscriptionNotExist, "the consumer's subscription not exist, group: %s, topic: %s", req.Group, req.Topic)
	case sub.Version < req.SubVersion:
		return service.Refuse(service.CodeSubscriptionNotLatest, "the consumer's subscription not latest: group %s, topic %s, the broker has version %d, the request %d", req.Group, req.Topic, sub.Version, req.SubVersion)
	}
	if sub.Type != service.ExpressionTag {
		if err := c.s.svc.CheckSubscription(sub.Type, sub.Expression); err != nil && err.Code == service.CodeSubscriptionParseFailed {
			return service.Refuse(service.CodeFilterDataNotExist, "The broker's consumer filter data is not exist!Your expression may be wrong! %s", err.Text)
		}
	}
	req.Subscription, req.ExpressionType = sub.Expression, sub.Type
	return nil
}

// pulled answers; it may be called by a poll worker.
func (c *conn) pulled(req *service.PullRequest, r *service.PullResult, code, opaque int32, typ uint8) {
	write := func(dst []byte) []byte {
		w := wire.Response(dst, typ, opaque, int32(r.Code), r.Remark)
		w.Int("suggestWhichBrokerId", r.SuggestBroker)
		w.Int("nextBeginOffset", r.NextBegin)
		w.Int("minOffset", r.MinOffset)
		w.Int("maxOffset", r.MaxOffset)
		return append(w.End(len(r.Body)), r.Body...)
	}
	if r.Messages > 0 || r.Code == service.CodePullRetryImmediately { // both are noted
		c.rpc.Delivery(write)
	} else {
		c.rpc.Reply(write)
	}
	took := time.Duration(time.Now().UnixMicro()-req.ReceivedMicros) * time.Microsecond
	c.rpc.Answered(code, int32(r.Code), took, r.WaitedMicros > 0)
	if r.Code != service.CodeSuccess {
		c.refused(req.Client, int(code), req.Topic, req.Group, &service.Error{Code: r.Code, Text: r.Remark})
	}
	r.Release()
}
