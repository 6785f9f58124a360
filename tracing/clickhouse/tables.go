package clickhouse

import (
	"encoding/binary"
	"net"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/tracing/trail"
)

// field is a column with its name.
type field struct {
	name string
	column
}

// table collects the rows of one table.
type table struct {
	name   string
	fields []field
	rows   int
	head   []byte
}

func newTable(name string, fields ...field) table { return table{name: name, fields: fields} }

func (t *table) reset() {
	t.rows = 0
	for i := range t.fields {
		t.fields[i].reset()
	}
}

func (t *table) size() (n int) {
	for i := range t.fields {
		n += t.fields[i].size()
	}
	return n
}

// columns is the column list of an INSERT.
func (t *table) columns() string {
	names := make([]string, len(t.fields))
	for i := range t.fields {
		names[i] = t.fields[i].name
	}
	return strings.Join(names, ", ")
}

// body is the table's one block: number of columns and of rows, then per column its name, type and values.
func (t *table) body() net.Buffers {
	size := 20
	for i := range t.fields {
		size += len(t.fields[i].name) + len(t.fields[i].kind()) + 8
	}
	if cap(t.head) < size {
		t.head = make([]byte, 0, size) // must not move while parts point into it
	}
	h := binary.AppendUvarint(t.head[:0], uint64(len(t.fields)))
	h = binary.AppendUvarint(h, uint64(t.rows))
	var parts net.Buffers
	from := 0
	for i := range t.fields {
		h = appendText(appendText(h, t.fields[i].name), t.fields[i].kind())
		parts = t.fields[i].parts(append(parts, h[from:]))
		from = len(h)
	}
	return parts
}

const timeType = "DateTime64(6, 'UTC')"

func times() *numbers            { return &numbers{typ: timeType} }
func ofType(typ string) *numbers { return &numbers{typ: typ} }

type messages struct {
	table
	id, originID, raw                                                texts
	keys                                                             lists
	key                                                              texts
	topic, tag, typ, group, client, addr, language, version          words
	protocol, broker, node, carrier, storeKey                        words
	queueID, offset, position, index, term, stored, body, sys, again *numbers
	born, received, appended, synced, acked                          *numbers
	traceIn, parentIn, flags, committed, slowest                     *numbers
	timing, realTopic, originTopic, resentBy, popGroup               words
	resentFrom                                                       texts
	realQueue, due                                                   *numbers
}

func newMessages() *messages {
	m := &messages{
		queueID: ofType("Int32"), offset: ofType("Int64"), position: ofType("Int64"), index: ofType("UInt64"), term: ofType("UInt64"),
		stored: ofType("UInt32"), body: ofType("UInt32"), sys: ofType("Int32"), again: ofType("Int32"), born: times(), received: times(),
		appended: times(), synced: times(), acked: times(), traceIn: ofType("FixedString(16)"), parentIn: ofType("FixedString(8)"), flags: ofType("UInt8"),
		committed: times(), slowest: ofType("UInt64"), realQueue: ofType("Int32"), due: times(),
	}
	m.keys.of = &m.key
	m.table = newTable("messages", field{"id", &m.id}, field{"topic", &m.topic}, field{"tag", &m.tag}, field{"keys", &m.keys},
		field{"type", &m.typ}, field{"queue_id", m.queueID}, field{"queue_offset", m.offset}, field{"position", m.position},
		field{"log_index", m.index}, field{"term", m.term}, field{"stored_bytes", m.stored}, field{"body_bytes", m.body},
		field{"sys_flag", m.sys}, field{"reconsume_times", m.again}, field{"producer_group", &m.group}, field{"producer_client", &m.client},
		field{"producer_addr", &m.addr}, field{"language", &m.language}, field{"version", &m.version}, field{"protocol", &m.protocol},
		field{"broker", &m.broker}, field{"node", &m.node}, field{"born", m.born}, field{"received", m.received}, field{"appended", m.appended},
		field{"synced", m.synced}, field{"acked", m.acked}, field{"origin_id", &m.originID}, field{"trace_in", m.traceIn},
		field{"parent_in", m.parentIn}, field{"trace_flags", m.flags}, field{"trace_carrier", &m.carrier}, field{"trace_raw", &m.raw},
		field{"store_key", &m.storeKey}, field{"committed", m.committed}, field{"slowest", m.slowest},
		field{"timing", &m.timing}, field{"real_topic", &m.realTopic}, field{"real_queue", m.realQueue}, field{"due", m.due}, field{"origin_topic", &m.originTopic},
		field{"resent_from", &m.resentFrom}, field{"resent_by", &m.resentBy}, field{"pop_group", &m.popGroup})
	return m
}

func (t *messages) add(m *trail.StoredMessage) {
	t.rows++
	t.id.put(m.ID)
	t.topic.put(m.Topic)
	t.tag.put(m.Tag)
	for _, k := range m.Keys {
		t.key.put(k)
	}
	t.keys.end(len(m.Keys))
	t.typ.put(m.Type)
	t.queueID.int32(m.QueueID)
	t.offset.int64(m.QueueOffset)
	t.position.int64(m.Position)
	t.index.put64(m.Index)
	t.term.put64(m.Term)
	t.stored.put32(m.StoredBytes)
	t.body.put32(m.BodyBytes)
	t.sys.int32(m.SysFlag)
	t.again.int32(m.ReconsumeTimes)
	t.group.put(m.ProducerGroup)
	t.client.put(m.ProducerClient)
	t.addr.put(m.ProducerAddr)
	t.language.put(m.Language)
	t.version.put(m.Version)
	t.protocol.put(m.Protocol)
	t.broker.put(m.Broker)
	t.node.put(m.Node)
	t.born.int64(m.BornMicros)
	t.received.int64(m.ReceivedMicros)
	t.appended.int64(m.AppendedMicros)
	t.synced.int64(m.SyncedMicros)
	t.acked.int64(m.AckedMicros)
	t.originID.put(m.OriginID)
	t.traceIn.hex(m.TraceIn, 16)
	t.parentIn.hex(m.ParentIn, 8)
	t.flags.put8(m.TraceFlags)
	t.carrier.put(string(m.Carrier))
	t.raw.put(m.RawTrace)
	t.storeKey.put(m.StoreKey)
	t.committed.int64(m.CommittedMicros)
	t.slowest.put64(m.Slowest)
	t.timing.put(m.Timing)
	t.realTopic.put(m.RealTopic)
	t.realQueue.int32(m.RealQueueID)
	t.due.int64(m.DueMicros)
	t.originTopic.put(m.OriginTopic)
	t.resentFrom.put(m.ResentFrom)
	t.resentBy.put(m.ResentBy)
	t.popGroup.put(m.PopGroup)
}

// A range is stored in pieces, one per bucket of offsets that it touches.
const (
	bucketSize = 256
	piecesMax  = 4096 // a longer range is one row
	noBucket   = -1
)

// pieces calls f with the bucket and number of each piece of a range.
func pieces(from, to int64, f func(bucket int64, piece uint32)) {
	first, last := from/bucketSize, (to-1)/bucketSize
	if from < 0 || last-first >= piecesMax {
		f(noBucket, 0)
		return
	}
	for b := first; b <= max(first, last); b++ {
		f(b, uint32(b-first))
	}
}

type deliveries struct {
	table
	bucket, piece                                     *numbers
	broker, topic, group, client, addr, language      words
	version, protocol, node, subscription             words
	queueID, from, to, again, requested, sent, waited *numbers
	messages, filtered, bytes, attempt                *numbers
	skipped                                           lists
	skip                                              *numbers
}

func newDeliveries() *deliveries {
	d := &deliveries{
		bucket: ofType("Int64"), piece: ofType("UInt32"),
		queueID: ofType("Int32"), from: ofType("Int64"), to: ofType("Int64"), again: ofType("Int64"), requested: times(), sent: times(),
		waited: ofType("Int64"), messages: ofType("UInt32"), filtered: ofType("UInt32"), bytes: ofType("UInt64"), attempt: ofType("UInt16"), skip: ofType("Int64"),
	}
	d.skipped.of = d.skip
	d.table = newTable("deliveries", field{"broker", &d.broker}, field{"topic", &d.topic}, field{"queue_id", d.queueID}, field{"from_offset", d.from}, field{"to_offset", d.to},
		field{"again_to", d.again}, field{"group_name", &d.group}, field{"client", &d.client}, field{"addr", &d.addr}, field{"language", &d.language},
		field{"version", &d.version}, field{"protocol", &d.protocol}, field{"node", &d.node}, field{"requested", d.requested}, field{"sent", d.sent},
		field{"waited", d.waited}, field{"messages", d.messages}, field{"filtered", d.filtered}, field{"skipped", &d.skipped}, field{"bytes", d.bytes},
		field{"attempt", d.attempt}, field{"subscription", &d.subscription}, field{"bucket", d.bucket}, field{"piece", d.piece})
	return d
}

func (t *deliveries) add(d *trail.StoredDelivery) {
	pieces(d.From, d.To, func(bucket int64, piece uint32) { t.addPiece(d, bucket, piece) })
}

func (t *deliveries) addPiece(d *trail.StoredDelivery, bucket int64, piece uint32) {
	t.rows++
	t.bucket.int64(bucket)
	t.piece.put32(piece)
	t.broker.put(d.Broker)
	t.topic.put(d.Topic)
	t.queueID.int32(d.QueueID)
	t.from.int64(d.From)
	t.to.int64(d.To)
	t.again.int64(d.AgainTo)
	t.group.put(d.Group)
	t.client.put(d.Client)
	t.addr.put(d.Addr)
	t.language.put(d.Language)
	t.version.put(d.Version)
	t.protocol.put(d.Protocol)
	t.node.put(d.Node)
	t.requested.int64(d.RequestedMicros)
	t.sent.int64(d.SentMicros)
	t.waited.int64(d.WaitedMicros)
	t.messages.put32(d.Messages)
	t.filtered.put32(d.Filtered)
	for _, o := range d.Skipped {
		t.skip.int64(o)
	}
	t.skipped.end(len(d.Skipped))
	t.bytes.put64(d.Bytes)
	t.attempt.put16(d.Attempt)
	t.subscription.put(d.Subscription)
}

type settlements struct {
	table
	bucket, piece                              *numbers
	broker, topic, group, outcome              words
	client, node                               words
	queueID, from, to, again, atTime, position *numbers
}

func newSettlements() *settlements {
	s := &settlements{bucket: ofType("Int64"), piece: ofType("UInt32"), queueID: ofType("Int32"), from: ofType("Int64"), to: ofType("Int64"), again: ofType("Int64"), atTime: times(), position: ofType("Int64")}
	s.table = newTable("settlements", field{"broker", &s.broker}, field{"topic", &s.topic}, field{"queue_id", s.queueID}, field{"from_offset", s.from}, field{"to_offset", s.to},
		field{"again_to", s.again}, field{"group_name", &s.group}, field{"outcome", &s.outcome}, field{"client", &s.client}, field{"node", &s.node},
		field{"at", s.atTime}, field{"position", s.position}, field{"bucket", s.bucket}, field{"piece", s.piece})
	return s
}

func (t *settlements) add(s *trail.StoredSettlement) {
	pieces(s.From, s.To, func(bucket int64, piece uint32) { t.addPiece(s, bucket, piece) })
}

func (t *settlements) addPiece(s *trail.StoredSettlement, bucket int64, piece uint32) {
	t.rows++
	t.bucket.int64(bucket)
	t.piece.put32(piece)
	t.broker.put(s.Broker)
	t.topic.put(s.Topic)
	t.queueID.int32(s.QueueID)
	t.from.int64(s.From)
	t.to.int64(s.To)
	t.again.int64(s.AgainTo)
	t.group.put(s.Group)
	t.outcome.put(s.Outcome)
	t.client.put(s.Client)
	t.node.put(s.Node)
	t.atTime.int64(s.AtMicros)
	t.position.int64(s.Position)
}

type steps struct {
	table
	id, detail                                               texts
	name_, topic, group, client, addr, status, error, source words
	broker                                                   words
	atTime, recorded, duration, attempt, position, place     *numbers
}

func newSteps() *steps {
	s := &steps{atTime: times(), recorded: times(), duration: ofType("Int64"), attempt: ofType("UInt16"), position: ofType("Int64"), place: ofType("Int64")}
	s.table = newTable("steps", field{"id", &s.id}, field{"name", &s.name_}, field{"topic", &s.topic}, field{"group_name", &s.group},
		field{"client", &s.client}, field{"addr", &s.addr}, field{"at", s.atTime}, field{"recorded", s.recorded}, field{"duration", s.duration},
		field{"attempt", s.attempt}, field{"status", &s.status}, field{"error", &s.error}, field{"source", &s.source}, field{"detail", &s.detail},
		field{"position", s.position}, field{"broker", &s.broker}, field{"place", s.place})
	return s
}

// placeID stands for the identity of a step that names a stored copy by its place only. No message has such an identity: it holds a
// separator of properties.
func placeID(broker string, place int64) string {
	return "\x01" + broker + "\x01" + strconv.FormatInt(place, 10)
}

func (t *steps) add(s *trail.StoredStep) {
	t.rows++
	id := s.ID
	if id == "" && s.Place > 0 {
		id = placeID(s.Broker, s.Place)
	}
	t.id.put(id)
	t.broker.put(s.Broker)
	t.place.int64(s.Place)
	t.name_.put(s.Name)
	t.topic.put(s.Topic)
	t.group.put(s.Group)
	t.client.put(s.Client)
	t.addr.put(s.Addr)
	t.atTime.int64(s.AtMicros)
	t.recorded.int64(s.RecordedMicros)
	t.duration.int64(s.DurationMicros)
	t.attempt.put16(s.Attempt)
	t.status.put(s.Status)
	t.error.put(s.Error)
	t.source.put(s.Source)
	t.detail.put(s.Detail)
	t.position.int64(s.Position)
}

type happenings struct {
	table
	kind_, topic, group, client, addr, node words
	text                                    texts
	atTime, count                           *numbers
	detail                                  maps
}

func newHappenings() *happenings {
	h := &happenings{atTime: times(), count: ofType("UInt32")}
	h.table = newTable("happenings", field{"at", h.atTime}, field{"kind", &h.kind_}, field{"topic", &h.topic}, field{"group_name", &h.group},
		field{"client", &h.client}, field{"addr", &h.addr}, field{"node", &h.node}, field{"text", &h.text}, field{"count", h.count}, field{"detail", &h.detail})
	return h
}

func (t *happenings) add(h *trail.Happening) {
	t.rows++
	t.atTime.int64(h.AtMicros)
	t.kind_.put(h.Kind)
	t.topic.put(h.Topic)
	t.group.put(h.Group)
	t.client.put(h.Client)
	t.addr.put(h.Addr)
	t.node.put(h.Node)
	t.text.put(h.Text)
	t.count.put32(h.Count)
	t.detail.put(h.Detail)
}

type shipped struct {
	table
	node, broker, source, reason, topic                       words
	atTime, from, to, fromTime, toTime, rowCount, notRecorded *numbers
	block                                                     texts
}

func newShipped() *shipped {
	s := &shipped{atTime: times(), from: ofType("Int64"), to: ofType("Int64"), fromTime: times(), toTime: times(), rowCount: ofType("UInt64"), notRecorded: ofType("UInt64")}
	s.table = newTable("ship_log", field{"at", s.atTime}, field{"node", &s.node}, field{"broker", &s.broker}, field{"source", &s.source}, field{"from_position", s.from},
		field{"to_position", s.to}, field{"from_time", s.fromTime}, field{"to_time", s.toTime}, field{"rows", s.rowCount},
		field{"not_recorded", s.notRecorded}, field{"reason", &s.reason}, field{"topic", &s.topic},
		field{"block", &s.block})
	return s
}

func (t *shipped) add(s *trail.Shipped, token string) {
	t.block.put(token)
	t.rows++
	t.atTime.int64(s.AtMicros)
	t.node.put(s.Node)
	t.broker.put(s.Broker)
	t.source.put(s.Source)
	t.from.int64(s.From)
	t.to.int64(s.To)
	t.fromTime.int64(s.FromMicros)
	t.toTime.int64(s.ToMicros)
	t.rowCount.put64(s.Rows)
	t.notRecorded.put64(s.NotRecorded)
	t.reason.put(s.Reason)
	t.topic.put(s.Topic)
}

// cuts is a table of single rows: the newest cut of each log.
type cuts struct {
	table
	broker, group, node, mark                          words
	seq, from, to, fromTerm, toTerm                    *numbers
	fromPosition, toPosition, fromTime, toTime, atTime *numbers
}

func newCuts() *cuts {
	c := &cuts{
		seq: ofType("UInt64"), from: ofType("UInt64"), to: ofType("UInt64"), fromTerm: ofType("UInt64"), toTerm: ofType("UInt64"),
		fromPosition: ofType("Int64"), toPosition: ofType("Int64"), fromTime: times(), toTime: times(), atTime: times(),
	}
	c.table = newTable("ship_cuts", field{"broker", &c.broker}, field{"log", &c.group}, field{"seq", c.seq}, field{"from_index", c.from}, field{"to_index", c.to},
		field{"from_position", c.fromPosition}, field{"to_position", c.toPosition}, field{"from_term", c.fromTerm}, field{"to_term", c.toTerm},
		field{"from_time", c.fromTime}, field{"to_time", c.toTime}, field{"node", &c.node}, field{"mark", &c.mark}, field{"at", c.atTime})
	return c
}

func (t *cuts) add(c *trail.Cut) {
	t.rows++
	t.broker.put(c.Broker)
	t.group.put(c.Group)
	t.seq.put64(c.Seq)
	t.from.put64(c.From)
	t.to.put64(c.To)
	t.fromPosition.int64(c.FromPosition)
	t.toPosition.int64(c.ToPosition)
	t.fromTerm.put64(c.FromTerm)
	t.toTerm.put64(c.ToTerm)
	t.fromTime.int64(c.FromMicros)
	t.toTime.int64(c.ToMicros)
	t.node.put(c.Node)
	t.mark.put(c.Mark)
	t.atTime.int64(c.AtMicros)
}
