package derive

import (
	"bytes"
	"strconv"
)

// Kinds of reports, as clients write them.
const (
	reportPub            = "Pub"
	reportSubBefore      = "SubBefore"
	reportSubAfter       = "SubAfter"
	reportEndTransaction = "EndTransaction"
	reportRecall         = "Recall"
)

// Separators of the clients' trace format (org.apache.rocketmq.client.trace.TraceConstants).
const (
	fieldEnd  = 0x01
	recordEnd = 0x02
)

// unknown stands in a report for a number that the client did not say.
const unknown = -1

// truth is a client's word on success.
type truth int8

const (
	notSaid truth = iota
	isTrue
	isFalse
)

// report is one record of a client's trace. Strings are views of the body.
type report struct {
	kind                                       string
	millis                                     int64 // client's clock; unknown
	group, topic, id, requestID                string
	clientHost, offsetID, transactionID, state string
	costMillis                                 int64 // unknown
	retries                                    int64 // unknown
	code                                       int64 // contextCode; unknown
	success                                    truth
	fromCheck                                  bool
}

// fieldsMax bounds what is looked at; all variants have fewer.
const fieldsMax = 24

// parseReports calls f for each well-formed record of a trace message's body and gives the number of others.
func parseReports(body []byte, f func(*report)) (bad int) {
	for len(body) > 0 {
		var one []byte
		one, body, _ = bytes.Cut(body, []byte{recordEnd})
		if len(one) == 0 {
			continue
		}
		var fields fieldList
		fields.split(one)
		r, ok := fields.report()
		if !ok {
			bad++
			continue
		}
		f(&r)
	}
	return bad
}

type fieldList struct {
	f [fieldsMax][]byte
	n int
}

func (l *fieldList) split(b []byte) {
	for more := true; more && l.n < fieldsMax; l.n++ {
		l.f[l.n], b, more = bytes.Cut(b, []byte{fieldEnd})
	}
}

// text is a field; absent ones and the text null, which is what clients print for one, are empty.
func (l *fieldList) text(i int) string {
	if i >= l.n || string(l.f[i]) == "null" {
		return ""
	}
	return view(l.f[i])
}

func (l *fieldList) number(i int) int64 {
	if i < l.n {
		if n, err := strconv.ParseInt(view(l.f[i]), 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return unknown
}

func (l *fieldList) truth(i int) truth {
	switch l.text(i) {
	case "true":
		return isTrue
	case "false":
		return isFalse
	}
	return notSaid
}

// report reads one record; false when it is none, or names no message.
func (l *fieldList) report() (r report, ok bool) {
	r = report{kind: l.text(0), millis: unknown, costMillis: unknown, retries: unknown, code: unknown}
	switch r.kind {
	case reportPub:
		ok = l.pub(&r)
	case reportSubBefore:
		// 4 requestId 5 msgId 6 retryTimes 7 keys [8 clientHost]
		r.millis, r.group, r.requestID, r.id = l.number(1), l.text(3), l.text(4), l.text(5)
		r.retries, r.clientHost = l.number(6), l.text(8)
		ok = l.n >= 7
	case reportSubAfter:
		// 1 requestId 2 msgId 3 cost 4 success 5 keys [6 contextCode [7 timestamp 8 group]]
		r.requestID, r.id, r.costMillis, r.success = l.text(1), l.text(2), l.number(3), l.truth(4)
		r.code = l.number(6)
		if l.n >= 9 {
			r.millis, r.group = l.number(7), l.text(8)
		}
		ok = l.n >= 6
	case reportEndTransaction:
		// 3 group 4 topic 5 msgId … 10 transactionId 11 state 12 fromTransactionCheck
		r.millis, r.group, r.topic, r.id = l.number(1), l.text(3), l.text(4), l.text(5)
		r.transactionID, r.state, r.fromCheck = l.text(10), l.text(11), l.truth(12) == isTrue
		ok = l.n >= 12
	case reportRecall:
		r.millis, r.group, r.topic, r.id, r.success = l.number(1), l.text(3), l.text(4), l.text(5), l.truth(6)
		ok = l.n >= 6
	}
	return r, ok && r.id != ""
}

// pub reads 12 fields (no success), 13 (12 success), 14 (12 offsetMsgId 13 success) or more (14 clientHost).
func (l *fieldList) pub(r *report) bool {
	r.millis, r.group, r.topic, r.id, r.costMillis = l.number(1), l.text(3), l.text(4), l.text(5), l.number(10)
	switch {
	case l.n < 12:
		return false
	case l.n == 13:
		r.success = l.truth(12)
	case l.n >= 14:
		r.offsetID, r.success, r.clientHost = l.text(12), l.truth(13), l.text(14)
	}
	return true
}
