package service

import (
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// Words of pop's header fields (org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil, KeyBuilder).
const (
	popNormal     = "0" // a message of the topic itself
	popRetry      = "1" // of its group's retry topic
	popRetryV2    = "2" // of a retry topic with another form of name; this broker has none
	reviveQueues  = 8   // numbers that clients hand back; nothing hangs on them
	reviveOrdered = 999 // the number that says that the pop was ordered
	handleMax     = 1024
	handleParts   = 8
)

// Handle is what a client gives back to acknowledge a message: its extraInfo, "start popTime invisibleTime reviveQueue type broker queue
// offset".
type Handle struct {
	Start, PopMillis, InvisibleMillis int64
	Revive                            int32
	Type, Broker                      string
	QueueID                           int32
	Offset                            int64 // -1: it was not in it
}

func (h Handle) String() string { return string(h.AppendTo(nil)) }

// AppendTo appends what String gives.
func (h *Handle) AppendTo(b []byte) []byte {
	b = strconv.AppendInt(b, h.Start, 10)
	for _, n := range [...]int64{h.PopMillis, h.InvisibleMillis, int64(h.Revive)} {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	b = append(append(append(append(b, ' '), h.Type...), ' '), h.Broker...)
	b = strconv.AppendInt(append(b, ' '), int64(h.QueueID), 10)
	if h.Offset >= 0 {
		b = strconv.AppendInt(append(b, ' '), h.Offset, 10)
	}
	return b
}

// Ordered says that it is of an ordered pop.
func (h Handle) Ordered() bool { return h.Revive == reviveOrdered }

// ParseHandle is the inverse of String.
func ParseHandle(text string) (h Handle, refused *Error) {
	fail := func(why string) (Handle, *Error) {
		return Handle{}, Refuse(CodeMessageIllegal, "extraInfo %s is illegal: %s", quoted(text), why)
	}
	if len(text) > handleMax {
		return fail("it has " + strconv.Itoa(len(text)) + " bytes, the limit is " + strconv.Itoa(handleMax))
	}
	var all [handleParts]string
	n := 0
	for part := range strings.SplitSeq(text, " ") {
		if n < handleParts {
			all[n] = part
		}
		n++
	}
	if n != handleParts && n != handleParts-1 {
		return fail("it has " + strconv.Itoa(n) + " parts, 7 or 8 are possible")
	}
	parts := all[:n]
	h.Type, h.Broker, h.Offset = parts[4], parts[5], -1
	if h.Type != popNormal && h.Type != popRetry && h.Type != popRetryV2 {
		return fail("its type is " + quoted(h.Type))
	}
	var small [2]int64
	into := [handleParts]*int64{&h.Start, &h.PopMillis, &h.InvisibleMillis, &small[0], nil, nil, &small[1], &h.Offset}
	for i, part := range parts {
		if into[i] == nil {
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return fail(quoted(part) + " is no number")
		}
		*into[i] = n
	}
	if h.Revive, h.QueueID = int32(small[0]), int32(small[1]); int64(h.Revive) != small[0] || int64(h.QueueID) != small[1] {
		return fail("a queue's number does not fit into 32 bits")
	}
	return h, nil
}

// quoted is what a refusal repeats of what a client sent: at most 100 bytes of it, which are 400 when none of them can be shown.
func quoted(text string) string { return strconv.Quote(text[:min(len(text), 100)]) }

// popStart is where the lease of a queue begins.
type popStart struct {
	queue int32
	from  int64
}

// Handle is the handle of one of the result's messages; false: it is none of them.
func (r *PopResult) Handle(v message.View) (Handle, bool) {
	if text := message.Property(v.Properties(), message.PropPopCheckpoint); text != nil { // of the retry topic
		h, refused := ParseHandle(string(text))
		return h, refused == nil
	}
	for _, s := range r.starts {
		if s.queue == v.QueueID() {
			return Handle{s.from, r.PopMillis, r.InvisibleMillis, r.ReviveQueue, popNormal, r.broker, s.queue, v.QueueOffset()}, true
		}
	}
	return Handle{}, false
}

// PopRetryTopic is where messages of a topic go that a group popped and did not acknowledge in time (KeyBuilder.buildPopRetryTopicV1).
func PopRetryTopic(topic, group string) string { return RetryPrefix + group + "_" + topic }

// RealTopic is the topic in which a popped message stands, by the type of its handle.
func RealTopic(topic, group, kind string) (string, *Error) {
	switch kind {
	case popNormal:
		return topic, nil
	case popRetry:
		return PopRetryTopic(topic, group), nil
	}
	return "", Refuse(CodeMessageIllegal, "a message of type %.10q: %s and %s are possible", kind, popNormal, popRetry)
}

// originOf is the topic of which a pop retry topic is.
func originOf(topic, group string) string {
	if origin, ok := strings.CutPrefix(topic, RetryPrefix+group+"_"); ok {
		return origin
	}
	return topic
}

func popType(retry bool) string {
	if retry {
		return popRetry
	}
	return popNormal
}

// popInfos are the header fields of a pop's answer that say where its messages stand.
type popInfos struct{ starts, offsets, counts []byte }

func appendInfo(b []byte, kind string, queue int32) []byte {
	if len(b) > 0 {
		b = append(b, ';')
	}
	b = append(append(b, kind...), ' ')
	return append(strconv.AppendInt(b, int64(queue), 10), ' ')
}

// add tells of one queue's messages: their lease, and with what consume counts an ordered pop gets again.
func (p *popInfos) add(l *entry.PopLease, retry bool, again []delivery.Again) {
	kind := popType(retry)
	p.starts = strconv.AppendInt(appendInfo(p.starts, kind, l.QueueID), l.From, 10)
	p.offsets = appendInfo(p.offsets, kind, l.QueueID)
	for i, offset := range l.Offsets {
		if i > 0 {
			p.offsets = append(p.offsets, ',')
		}
		p.offsets = strconv.AppendInt(p.offsets, offset, 10)
	}
	if l.Order {
		p.count(l, kind, again)
	}
}

// count is "type qo<queue>%<offset> times" of each message that was popped before, and the least of all for clients that know no better
// (ConsumerOrderInfoManager.update).
func (p *popInfos) count(l *entry.PopLease, kind string, again []delivery.Again) {
	least, counted := 0, 0
	for _, a := range again {
		if a.Times <= 0 {
			continue
		}
		if counted++; counted == 1 || a.Times < least {
			least = a.Times
		}
		if len(p.counts) > 0 {
			p.counts = append(p.counts, ';')
		}
		p.counts = append(append(p.counts, kind...), " qo"...)
		p.counts = append(strconv.AppendInt(p.counts, int64(l.QueueID), 10), '%')
		p.counts = strconv.AppendInt(append(strconv.AppendInt(p.counts, a.Offset, 10), ' '), int64(a.Times), 10)
	}
	if counted < len(l.Offsets) {
		least = 0
	}
	p.counts = strconv.AppendInt(appendInfo(p.counts, kind, l.QueueID), int64(least), 10)
}
