package api

import (
	"strings"

	"github.com/contrailmq/contrail/tracing/trail"
)

const statusNotSaid = -1

// Records tells a life in the traditional form: Pub and Receive per stored copy, SubBefore per delivery, SubAfter per
// client-reported processing, Ack per settlement.
func Records(life *trail.Life, storeHost string) []TraceRecord {
	out := []TraceRecord{}
	for i := range life.Messages {
		out = append(out, published(&life.Messages[i], storeHost)...)
	}
	if len(life.Messages) == 0 {
		return out
	}
	base := record(&life.Messages[len(life.Messages)-1], storeHost)
	for _, d := range life.Deliveries {
		if len(d.Skipped) == 1 && d.To-d.From == 1 {
			continue
		}
		r := base
		r.Success, r.TraceType, r.Timestamp, r.GroupName, r.ClientHost = true, "SubBefore", d.SentMicros/1000, d.Group, host(d.Addr, d.Client)
		r.RetryTimes, r.CostTime = int(max(1, d.Attempt))-1, d.WaitedMicros/1000
		out = append(out, r)
	}
	for _, s := range life.Steps {
		out = append(out, stepRecord(base, &s))
	}
	for _, s := range life.Settlements {
		r := base
		r.Success, r.TraceType, r.Timestamp, r.GroupName, r.ClientHost = s.Outcome == "acknowledged", "Ack", s.AtMicros/1000, s.Group, s.Client
		out = append(out, r)
	}
	return out
}

func host(addr, client string) string {
	if addr != "" {
		return addr
	}
	return client
}

var messageTypes = map[string]string{"fifo": "Order_Msg", "delay": "Delay_Msg", "transaction": "Trans_msg_Commit"}

// record is what all records of a message say.
func record(m *trail.Message, storeHost string) TraceRecord {
	kind := messageTypes[m.Type]
	if kind == "" {
		kind = "Normal_Msg"
	}
	return TraceRecord{
		ConsumeStatus: statusNotSaid, Topic: m.Topic, MsgID: m.ID, OffsetMsgID: m.OffsetID, Tags: m.Tag, Keys: strings.Join(m.Keys, " "),
		StoreHost: storeHost, BodyLength: int64(m.BodyBytes), MsgType: kind, RetryTimes: int(m.ReconsumeTimes),
	}
}

func published(m *trail.Message, storeHost string) []TraceRecord {
	pub := record(m, storeHost)
	pub.Success, pub.TraceType, pub.Timestamp, pub.GroupName, pub.ClientHost = true, "Pub", m.BornMicros/1000, m.ProducerGroup, m.ProducerAddr
	receive := pub
	receive.TraceType, receive.Timestamp = "Receive", m.ReceivedMicros/1000
	if m.AckedMicros > 0 {
		receive.CostTime = (m.AckedMicros - m.ReceivedMicros) / 1000
	}
	return []TraceRecord{pub, receive}
}

func stepRecord(r TraceRecord, s *trail.Step) TraceRecord {
	r.Success, r.Timestamp, r.GroupName, r.ClientHost = s.Status != "Error", s.AtMicros/1000, s.Group, host(s.Addr, s.Client)
	r.CostTime, r.RequestID, r.RetryTimes = s.DurationMicros/1000, s.Detail, int(max(1, s.Attempt))-1
	r.TraceType = "SubAfter"
	if s.Name == "send" {
		r.TraceType = "Pub"
		return r
	}
	r.ConsumeStatus = 0
	if !r.Success {
		r.ConsumeStatus = 2
	}
	return r
}
