package message

import (
	"bytes"
	"slices"
)

// Property names that clients and the broker give a meaning to (org.apache.rocketmq.common.message.MessageConst).
const (
	PropKeys          = "KEYS"
	PropTags          = "TAGS"
	PropWait          = "WAIT"
	PropDelay         = "DELAY"
	PropUniqKey       = "UNIQ_KEY"
	PropRetryTopic    = "RETRY_TOPIC"
	PropRealTopic     = "REAL_TOPIC"
	PropRealQueueID   = "REAL_QID"
	PropMsgRegion     = "MSG_REGION"
	PropTraceOn       = "TRACE_ON"
	PropCluster       = "CLUSTER"
	PropProducerGroup = "PGROUP"
	PropShardingKey   = "__SHARDINGKEY"
	PropTranMsg       = "TRAN_MSG"
	PropTransactionID = "__transactionId__"
	PropOriginMsgID   = "ORIGIN_MESSAGE_ID"
	PropTraceContext  = "TRACE_CONTEXT"
	PropReconsumeTime = "RECONSUME_TIME"      // of a message that a consumer sends to its retry topic itself
	PropMaxReconsume  = "MAX_RECONSUME_TIMES" // likewise
	PropTraceparent   = "traceparent"

	PropTimerDelaySec      = "TIMER_DELAY_SEC"
	PropTimerDelayMillis   = "TIMER_DELAY_MS"
	PropTimerDeliverMillis = "TIMER_DELIVER_MS"
	PropTimerOutMillis     = "TIMER_OUT_MS"         // when it is due, ms, 13 digits: the broker's
	PropTimerDelUniqKey    = "TIMER_DEL_UNIQKEY"    // cancels the scheduled message of that key
	PropResentFrom         = "CONTRAIL_RESENT_FROM" // offset message id of the dead letter that this is a copy of
	PropResentBy           = "CONTRAIL_RESENT_BY"
	PropPopCheckpoint      = "POP_CK"
)

// Separators of the property run.
const (
	NameEnd  = 0x01
	ValueEnd = 0x02
)

// MaxProperties is the longest property run: its length is a signed 16-bit number on the wire.
const MaxProperties = 32767

// NextProperty splits the first property off an encoded run. ok is false at the end; a run without separator is its end. A piece
// without a name's end is no property and is passed over, as Java does: it must not hide the name behind it.
func NextProperty(run []byte) (name, value, rest []byte, ok bool) {
	i := bytes.IndexByte(run, NameEnd)
	if i < 0 {
		return nil, nil, nil, false
	}
	name, rest = run[:i], run[i+1:]
	if j := bytes.LastIndexByte(name, ValueEnd); j >= 0 {
		name = name[j+1:]
	}
	if j := bytes.IndexByte(rest, ValueEnd); j >= 0 {
		return name, rest[:j], rest[j+1:], true
	}
	return name, rest, nil, true
}

// Property finds one property in an encoded run; nil if it is absent. The last of equal names wins, as in Java's map.
func Property(run []byte, name string) []byte {
	var found []byte
	for {
		n, v, rest, ok := NextProperty(run)
		if !ok {
			return found
		}
		if string(n) == name {
			found = v
		}
		run = rest
	}
}

// AppendProperty appends one property to an encoded run, closing an open last value first.
func AppendProperty(run []byte, name, value string) []byte {
	if n := len(run); n > 0 && run[n-1] != ValueEnd {
		run = append(run, ValueEnd)
	}
	run = append(run, name...)
	run = append(run, NameEnd)
	run = append(run, value...)
	return append(run, ValueEnd)
}

// Without is a property run without some names.
func Without(run []byte, names ...string) []byte {
	kept, rest := run[:0:0], run
	for {
		name, value, next, ok := NextProperty(rest)
		if !ok {
			return kept
		}
		rest = next
		if !slices.ContainsFunc(names, func(n string) bool { return n == string(name) }) {
			kept = AppendProperty(kept, string(name), string(value))
		}
	}
}

// PropertyMap decodes a run. It allocates: for tools and pages only.
func PropertyMap(run []byte) map[string]string {
	m := map[string]string{}
	for {
		n, v, rest, ok := NextProperty(run)
		if !ok {
			return m
		}
		m[string(n)] = string(v)
		run = rest
	}
}

// TagHash is Java's String.hashCode of a tag: 31-polynomial over UTF-16 units; 0 for no tag.
func TagHash(tag []byte) int32 {
	var h int32
	ascii := true
	for _, c := range tag {
		if c >= 0x80 {
			ascii = false
			break
		}
		h = h*31 + int32(c)
	}
	if ascii {
		return h
	}
	h = 0
	for _, r := range string(tag) {
		if r >= 0x10000 {
			r -= 0x10000
			h = h*31 + int32(0xD800+(r>>10))
			h = h*31 + int32(0xDC00+(r&0x3FF))
			continue
		}
		h = h*31 + int32(r)
	}
	return h
}
