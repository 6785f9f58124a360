package remoting

import (
	"context"
	"strconv"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

const queryPatience = 5 * time.Second

// queryMessage: QUERY_MESSAGE. Header: topic*, key*, maxNum*, beginTimestamp*, endTimestamp* (ms), _UNIQUE_KEY_QUERY. Answers 0
// with stored messages, indexLastUpdateTimestamp and indexLastUpdatePhyoffset; 22 when there is none; 1.
func (c *conn) queryMessage(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	q := service.QueryRequest{
		Topic: f.String("topic"), Key: f.String("key"), Unique: f.Bool("_UNIQUE_KEY_QUERY", false),
		MaxMessages: int(a.int("maxNum", 0)), BeginMillis: a.int("beginTimestamp", 0), EndMillis: a.int("endTimestamp", 0),
	}
	if q.Unique {
		q.MaxMessages = 0
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryPatience)
	defer cancel()
	body, millis, position, err := c.s.svc.Query(ctx, q)
	fields := []rpc.Field{
		{Name: "indexLastUpdateTimestamp", Value: strconv.FormatInt(millis, 10)},
		{Name: "indexLastUpdatePhyoffset", Value: strconv.FormatInt(position, 10)},
	}
	if err != nil {
		call.Answer(err.Code, err.Text, nil, fields...)
		return
	}
	call.OK(body, fields...)
}
