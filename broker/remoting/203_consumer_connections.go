package remoting

import (
	"slices"
	"strings"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// connection is RocketMQ's Connection.
type connection struct {
	ClientAddr string `json:"clientAddr"`
	ClientID   string `json:"clientId"`
	Language   string `json:"language"`
	Version    int32  `json:"version"`
}

// subscriptionData is RocketMQ's SubscriptionData as tools read it.
type subscriptionData struct {
	ClassFilter bool     `json:"classFilterMode"`
	Codes       []int32  `json:"codeSet"`
	Type        string   `json:"expressionType"`
	Expression  string   `json:"subString"`
	Version     int64    `json:"subVersion"`
	Tags        []string `json:"tagsSet"`
	Topic       string   `json:"topic"`
}

// consumerConnections: GET_CONSUMER_CONNECTION_LIST. Header: consumerGroup*. Answers 0 with body ConsumerConnection; 206 when nobody
// is online.
func (c *conn) consumerConnections(call *rpc.Call, f *wire.Frame) {
	name := f.String("consumerGroup")
	g, ok := c.s.clients.Group(name)
	if !ok || !g.Online {
		c.refuse(call, service.Refuse(service.CodeConsumerNotOnline, "the consumer group[%s] not online", name))
		return
	}
	conns := []connection{}
	for _, m := range g.Members {
		conns = append(conns, connection{m.Addr, m.ClientID, m.Language, wire.VersionOrdinal(m.Version)})
	}
	table := map[string]subscriptionData{}
	for _, s := range g.Subscriptions {
		table[s.Topic] = subscribed(s)
	}
	call.JSON(map[string]any{
		"connectionSet": conns, "consumeFromWhere": c.s.clients.FromWhere(name), "consumeType": g.ConsumeType, "messageModel": g.Model,
		"subscriptionTable": table,
	})
}

// subscribed has the tags of an expression and their hashes beside it: tools read them to tell what a group does not want
// (org.apache.rocketmq.remoting.protocol.filter.FilterAPI).
func subscribed(s inspect.Subscription) subscriptionData {
	d := subscriptionData{Codes: []int32{}, Tags: []string{}, Type: s.Type, Expression: s.Expression, Version: s.Version, Topic: s.Topic}
	if e := strings.TrimSpace(s.Expression); s.Type != "" && s.Type != "TAG" || e == "*" {
		return d
	}
	for tag := range strings.SplitSeq(s.Expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(d.Tags, tag) {
			d.Tags, d.Codes = append(d.Tags, tag), append(d.Codes, message.TagHash([]byte(tag)))
		}
	}
	return d
}
