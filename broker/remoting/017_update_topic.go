package remoting

import (
	"context"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

const changePatience = 10 * time.Second

// updateTopic: UPDATE_AND_CREATE_TOPIC. Header: topic*, defaultTopic*, readQueueNums*, writeQueueNums*, perm*, topicFilterType*,
// topicSysFlag, order*, attributes ("+k=v" sets, "-k" removes, joined by commas), _ctrlChecked (ours: refuse
// what would leave messages unread). Answers 0 when the name servers know the
// topic; 1, 16, 29.
func (c *conn) updateTopic(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	t := catalog.NewTopic(f.String("topic"), 0)
	t.ReadQueues, t.WriteQueues = a.int32("readQueueNums", 16), a.int32("writeQueueNums", 16)
	t.Perm, t.SysFlag, t.Order = a.int32("perm", 6), a.int32("topicSysFlag", 0), f.Bool("order", false)
	err := a.refusal()
	if err == nil && c.s.svc.IsSystemTopic(t.Name) {
		err = service.Refuse(service.CodeInvalidParameter, "the topic[%s] is conflict with system topic.", t.Name)
	}
	if err == nil {
		old, _ := c.s.svc.Topic(t.Name)
		t.Attributes, err = changeAttributes(old.Attributes, f.String("attributes"))
	}
	if err == nil && f.Bool("_ctrlChecked", false) {
		err = c.s.svc.CheckQueues(t)
	}
	if err != nil {
		c.refuse(call, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	c.done(call, c.s.svc.PutTopic(ctx, t))
}

// changeAttributes applies "+k=v,-k" to a copy of what a topic has.
func changeAttributes(old map[string]string, text string) (map[string]string, *service.Error) {
	out := make(map[string]string, len(old))
	for k, v := range old {
		out[k] = v
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
		case part[0] == '-':
			delete(out, part[1:])
		default:
			k, v, ok := strings.Cut(strings.TrimPrefix(part, "+"), "=")
			if !ok || k == "" {
				return nil, service.Refuse(service.CodeInvalidParameter, "attribute %.100q: +key=value and -key are possible", part)
			}
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
