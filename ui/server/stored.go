package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Limits of the look for a message whose topic nobody told: an index answers each topic at once, but there may be many.
const (
	guessedTopicsMax = 500
	guessTimeout     = 2 * time.Second
)

// stored looks for a message in the broker's log: at the places that the trail knows, at the one that an offset message id
// names, and by its UNIQ_KEY. It connects nowhere: an id that names another broker's address is not found here.
func (s *Server) stored(ctx context.Context, id string, copies []trail.Message) (message.View, bool) {
	for i := range copies { // the first is the one that was sent, later ones are retries
		if v, ok := s.at(ctx, id, copies[i].Position); ok {
			return v, true
		}
	}
	if position, ok := s.ownPosition(id); ok {
		return s.at(ctx, id, position)
	}
	return s.byKey(ctx, id, copies)
}

// ownPosition is the log position in an offset message id of a broker group that has a member here.
func (s *Server) ownPosition(id string) (int64, bool) {
	host, position, err := message.ParseOffsetID(id)
	n := s.o.Broker.InspectNode()
	return position, err == nil && own(&n, host.String())
}

// own says whether a message that has the address as its store host is in a log that this process has.
func own(n *inspect.Node, addr string) bool {
	if addr == n.StoreHost {
		return true
	}
	for _, g := range n.Groups {
		for _, m := range g.Members {
			if m.Addr == addr {
				return true
			}
		}
	}
	return false
}

// foreign is the broker that an offset message id names, when it is another one. A client's own id (UNIQ_KEY) has the same form
// with a process id where the upper half of a port would be, which is 0 in an offset message id.
func foreign(id string, n *inspect.Node) (string, bool) {
	host, _, err := message.ParseOffsetID(id)
	const portAt4 = 8
	if err != nil || len(id) == 32 && id[portAt4:portAt4+4] != "0000" || host.Port() == 0 || own(n, host.String()) {
		return "", false
	}
	return host.String(), true
}

// at reads the message at a position and checks that it is the one.
func (s *Server) at(ctx context.Context, id string, position int64) (message.View, bool) {
	for _, raw := range s.o.Broker.MessagesAt(ctx, position) {
		if v, err := message.Parse(raw); err == nil && is(v, id) {
			return v, true
		}
	}
	return nil, false
}

func is(v message.View, id string) bool {
	return uniqueKey(v) == id || strings.EqualFold(offsetID(v), id)
}

func uniqueKey(v message.View) string {
	return string(message.Property(v.Properties(), message.PropUniqKey))
}

func offsetID(v message.View) string {
	return string(message.AppendOffsetID(nil, v.StoreHost(), v.Position()))
}

// byKey asks the indexes of the topics that it may be in.
func (s *Server) byKey(ctx context.Context, id string, copies []trail.Message) (message.View, bool) {
	ctx, cancel := context.WithTimeout(ctx, guessTimeout)
	defer cancel()
	for _, topic := range s.guessTopics(copies) {
		found, err := s.o.Broker.Find(ctx, topic, id, true)
		if ctx.Err() != nil {
			return nil, false
		}
		if err != nil {
			continue
		}
		for _, raw := range found {
			if v, err := message.Parse(raw); err == nil && uniqueKey(v) == id {
				return v, true
			}
		}
	}
	return nil, false
}

func (s *Server) guessTopics(copies []trail.Message) []string {
	var names []string
	for i := range copies {
		names = append(names, copies[i].Topic)
	}
	if len(names) > 0 {
		return names
	}
	for _, t := range s.o.Broker.InspectTopics() {
		if t.MessagesIn > 0 || t.Messages > 0 {
			names = append(names, t.Name)
		}
		if len(names) == guessedTopicsMax {
			break
		}
	}
	return names
}

// fromLog tells a stored message as a row of the trail, as far as its bytes say: who sent it from which client, and when it
// was synced and acknowledged, is not in them.
func fromLog(v message.View, n inspect.Node) trail.Message {
	m := trail.Message{
		ID: uniqueKey(v), OffsetID: offsetID(v), Topic: string(v.Topic()), Type: "normal", QueueID: v.QueueID(), QueueOffset: v.QueueOffset(),
		Position: v.Position(), StoredBytes: uint32(len(v)), BodyBytes: uint32(v.BodySize()), SysFlag: v.SysFlag(), ReconsumeTimes: v.ReconsumeTimes(),
		ProducerAddr: v.BornHost().String(), Broker: n.Broker, Node: n.NodeID, BornMicros: v.BornTime() * 1000, AppendedMicros: v.StoreTime() * 1000,
	}
	if m.SysFlag&message.FlagTxMask != 0 {
		m.Type = "transaction"
	}
	var carried trail.Carried
	for run := v.Properties(); ; {
		name, value, rest, ok := message.NextProperty(run)
		if !ok {
			break
		}
		run = rest
		property(&m, string(name), string(value))
		carried.Take(name, value)
	}
	timing(&m)
	if c, ok := carried.Context(); ok {
		m.TraceIn, m.TraceFlags = c.TraceID.String(), c.Flags
		if c.HasParent {
			m.ParentIn = c.ParentID.String()
		}
	}
	return m
}

// timing says what a copy has to do with the timer, as far as its own bytes say: that a message in its real topic was fired, and not sent
// on by somebody, is told by the command beside it only.
func timing(m *trail.Message) {
	if m.ID == "" {
		m.ID = m.OriginID
	}
	if m.ID == "" {
		m.ID = m.OffsetID
	}
	if m.ReconsumeTimes > 0 || m.Owner() == "" || m.Dead() {
		m.ResentFrom, m.ResentBy = "", ""
	}
	m.TakePopGroup()
	switch {
	case m.TransactionTiming() != "":
		m.Timing, m.DueMicros = m.TransactionTiming(), 0
	case trail.Parks(m.Topic) && m.RealTopic != "" && m.DueMicros > 0:
		m.Timing = trail.TimingParked
	case m.Topic == m.RealTopic && m.DueMicros > 0 && m.DueMicros <= m.AppendedMicros:
		m.Timing = trail.TimingFired
	default:
		m.RealTopic, m.RealQueueID, m.DueMicros = "", 0, 0
	}
	if m.Owner() == "" && !m.Parked() {
		m.OriginTopic = ""
	}
	if m.OriginTopic != "" && m.Type == "delay" {
		m.Type = "normal" // a retry waits by a delay level
	}
}

func property(m *trail.Message, name, value string) {
	switch name {
	case message.PropTags:
		m.Tag = value
	case message.PropKeys:
		m.Keys = strings.Fields(value)
	case message.PropProducerGroup:
		m.ProducerGroup = value
	case message.PropOriginMsgID:
		m.OriginID = value
	case message.PropRealTopic:
		m.RealTopic = value
	case message.PropRealQueueID:
		id, _ := strconv.ParseInt(value, 10, 32)
		m.RealQueueID = int32(id)
	case message.PropTimerOutMillis:
		due, _ := strconv.ParseInt(value, 10, 64)
		m.DueMicros = due * 1000
	case message.PropRetryTopic:
		m.OriginTopic = value
	case message.PropResentFrom:
		m.ResentFrom = value
	case message.PropResentBy:
		m.ResentBy = value
	case trail.PropOriginGroup:
		m.PopGroup = value
	case message.PropTranMsg:
		m.Type = "transaction"
	case message.PropDelay, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis:
		if m.Type == "normal" && value != "0" {
			m.Type = "delay"
		}
	case message.PropShardingKey:
		if m.Type == "normal" {
			m.Type = "fifo"
		}
	}
}
