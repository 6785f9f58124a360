package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// cloneGroupOffset: CLONE_GROUP_OFFSET. Header: srcGroup*, destGroup*, topic (empty: all of the source's), offline. Gives the destination
// the source's offsets. Unless offline, topics are left out that the source, being online, does not subscribe to. Answers 0; 1, 29.
// Checked against AdminBrokerProcessor.cloneGroupOffset.
func (c *conn) cloneGroupOffset(call *rpc.Call, f *wire.Frame) {
	from := f.String("srcGroup")
	wanted := func(string) bool { return true }
	if g, _ := c.s.clients.Group(from); !f.Bool("offline", false) && len(g.Subscriptions) > 0 {
		wanted = func(topic string) bool {
			_, found, _ := c.s.clients.Subscription(from, topic)
			return found
		}
	}
	_, err := c.s.svc.CloneOffsets(from, f.String("destGroup"), f.String("topic"), c.who.AddrText(), wanted)
	c.done(call, err)
}
