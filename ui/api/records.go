package api

import (
	"strings"

	"github.com/contrailmq/contrail/tracing/trail"
)

const statusNotSaid = -1

// Records tells a life in the traditional form: Pub for what was sent, Receive per stored copy, SubBefore per delivery, SubAfter per
// client-reported processing, Ack per settlement, Recall for a cancel. Retries are told by the topic that the group consumed, as clients
// report them.
func Records(life *trail.Life, storeHost string) []TraceRecord {
	out := []TraceRecord{}
	for i := range life.Messages {
		out = append(out, stored(&life.Messages[i], storeHost)...)
	}
	if len(life.Messages) == 0 {
		return out
	}
	last := record(&life.Messages[len(life.Messages)-1], storeHost)
	for _, d := range life.Deliveries {
		if len(d.Skipped) == 1 && d.To-d.From == 1 {
			continue
		}
		r, retries := ranged(life, last, storeHost, d.Topic, d.QueueID, d.From, d.To)
		r.Success, r.TraceType, r.Timestamp, r.GroupName, r.ClientHost = true, "SubBefore", d.SentMicros/1000, d.Group, host(d.Addr, d.Client)
		r.RetryTimes, r.CostTime = max(int(d.Attempt)-1, retries), d.WaitedMicros/1000
		out = append(out, r)
	}
	for i := range life.Steps {
		out = append(out, stepRecord(last, &life.Steps[i]))
	}
	for _, s := range life.Settlements {
		r, retries := ranged(life, last, storeHost, s.Topic, s.QueueID, s.From, s.To)
		r.Success, r.TraceType, r.Timestamp, r.GroupName, r.ClientHost = s.Outcome == "acknowledged", "Ack", s.AtMicros/1000, s.Group, s.Client
		r.RetryTimes = retries
		out = append(out, r)
	}
	return out
}

// ranged is the record of the copy in a range, and how often that had been retried; the newest copy's when none is there.
func ranged(life *trail.Life, last TraceRecord, storeHost, topic string, queue int32, from, to int64) (TraceRecord, int) {
	for i := range life.Messages {
		if m := &life.Messages[i]; m.Topic == topic && m.QueueID == queue && from <= m.QueueOffset && m.QueueOffset < to {
			return record(m, storeHost), int(m.ReconsumeTimes)
		}
	}
	return last, 0
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
		ConsumeStatus: statusNotSaid, Topic: m.UserTopic(), MsgID: m.ID, OffsetMsgID: m.OffsetID, Tags: m.Tag, Keys: strings.Join(m.Keys, " "),
		StoreHost: storeHost, BodyLength: int64(m.BodyBytes), MsgType: kind, RetryTimes: int(m.ReconsumeTimes),
	}
}

// stored are the records of a copy: nobody sent what the broker fired, nor retries and dead letters.
func stored(m *trail.Message, storeHost string) []TraceRecord {
	pub := record(m, storeHost)
	pub.Success, pub.TraceType, pub.Timestamp, pub.GroupName, pub.ClientHost = true, "Pub", m.BornMicros/1000, m.ProducerGroup, m.ProducerAddr
	receive := pub
	receive.TraceType, receive.Timestamp = "Receive", m.AppendedMicros/1000
	if m.ReceivedMicros > 0 {
		receive.Timestamp = m.ReceivedMicros / 1000
	}
	if m.AckedMicros > 0 && m.ReceivedMicros > 0 {
		receive.CostTime = (m.AckedMicros - m.ReceivedMicros) / 1000
	}
	if owner := m.Owner(); owner != "" || m.Timing == trail.TimingFired || m.Timing == trail.TimingRolled {
		receive.GroupName = owner
		return []TraceRecord{receive}
	}
	return []TraceRecord{pub, receive}
}

func stepRecord(r TraceRecord, s *trail.Step) TraceRecord {
	r.Success, r.Timestamp, r.GroupName, r.ClientHost = s.Status != "Error", s.AtMicros/1000, s.Group, host(s.Addr, s.Client)
	r.CostTime, r.RequestID, r.RetryTimes = s.DurationMicros/1000, s.Detail, int(max(1, s.Attempt))-1
	switch s.Name {
	case trail.StepSend:
		r.TraceType = "Pub"
		return r
	case trail.StepCancel, "recall":
		r.TraceType, r.RequestID = "Recall", ""
		return r
	}
	r.TraceType = "SubAfter"
	r.ConsumeStatus = 0
	if !r.Success {
		r.ConsumeStatus = 2
	}
	return r
}
