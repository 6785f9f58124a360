package remoting

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// emptyHeader is what fields mean that are not there.
var emptyHeader = service.SendHeader{QueueID: -1, MaxReconsumeTimes: -1}

// sendMessageV2: SEND_MESSAGE_V2. Header (SendMessageRequestHeaderV2), one letter each: a producerGroup*, b topic*,
// c defaultTopic*, d defaultTopicQueueNums*, e queueId*, f sysFlag*, g bornTimestamp*, h flag*, i properties,
// j reconsumeTimes, k unitMode, l maxReconsumeTimes, m batch, n broker name. Else as 10.
func (c *conn) sendMessageV2(f *wire.Frame) { c.send(f, c.parseV2(f)) }

func (c *conn) parseV2(f *wire.Frame) (err error) {
	h := &c.header
	*h = emptyHeader
	for i := range f.Fields {
		name, v := f.Fields[i].Name, f.Fields[i].Value
		if len(name) != 1 {
			continue
		}
		switch name[0] {
		case 'a':
			h.ProducerGroup = v
		case 'b':
			h.Topic = v
		case 'c':
			h.DefaultTopic = v
		case 'd':
			int32Into(&h.DefaultTopicQueueNums, "d (defaultTopicQueueNums)", v, &err)
		case 'e':
			int32Into(&h.QueueID, "e (queueId)", v, &err)
		case 'f':
			int32Into(&h.SysFlag, "f (sysFlag)", v, &err)
		case 'g':
			int64Into(&h.BornTime, "g (bornTimestamp)", v, &err)
		case 'h':
			int32Into(&h.Flag, "h (flag)", v, &err)
		case 'i':
			h.Properties = v
		case 'j':
			int32Into(&h.ReconsumeTimes, "j (reconsumeTimes)", v, &err)
		case 'l':
			int32Into(&h.MaxReconsumeTimes, "l (maxReconsumeTimes)", v, &err)
		case 'm':
			h.Batch = string(v) == "true"
		}
	}
	return err
}

func int64Into(into *int64, name string, v []byte, err *error) {
	if v == nil {
		return
	}
	n, e := wire.ParseInt(name, v)
	if e != nil && *err == nil {
		*err = e
	}
	*into = n
}

func int32Into(into *int32, name string, v []byte, err *error) {
	var n int64
	int64Into(&n, name, v, err)
	if n != int64(int32(n)) && *err == nil {
		*err = fmt.Errorf("field %s: %d does not fit into 32 bits", name, n)
	}
	*into = int32(n)
}
