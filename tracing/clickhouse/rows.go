package clickhouse

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

func micros(column string) string { return "toUnixTimestamp64Micro(" + column + ")" }

// messageColumns are what scanMessage reads.
var messageColumns = strings.Join([]string{
	"id", "offset_id", "topic", "tag", "keys", "type", "queue_id", "queue_offset", "position", "log_index", "term", "stored_bytes", "body_bytes",
	"sys_flag", "reconsume_times", "producer_group", "producer_client", "producer_addr", "language", "version", "protocol", "broker", "node",
	micros("born"), micros("received"), micros("appended"), micros("synced"), micros("acked"), "origin_id", "toString(trace_in)", "toString(parent_in)", "trace_flags", micros("committed"), "slowest",
	"timing", "real_topic", "real_queue", micros("due"), "origin_topic", "resent_from", "resent_by", "pop_group",
}, ", ")

func scanMessage(rows driver.Rows) (m trail.Message, err error) {
	var trace, parent string
	err = rows.Scan(&m.ID, &m.OffsetID, &m.Topic, &m.Tag, &m.Keys, &m.Type, &m.QueueID, &m.QueueOffset, &m.Position, &m.Index, &m.Term,
		&m.StoredBytes, &m.BodyBytes, &m.SysFlag, &m.ReconsumeTimes, &m.ProducerGroup, &m.ProducerClient, &m.ProducerAddr, &m.Language,
		&m.Version, &m.Protocol, &m.Broker, &m.Node, &m.BornMicros, &m.ReceivedMicros, &m.AppendedMicros, &m.SyncedMicros, &m.AckedMicros,
		&m.OriginID, &trace, &parent, &m.TraceFlags, &m.CommittedMicros, &m.Slowest, &m.Timing, &m.RealTopic, &m.RealQueueID, &m.DueMicros, &m.OriginTopic, &m.ResentFrom, &m.ResentBy, &m.PopGroup)
	m.TraceIn, m.ParentIn = hexUnlessZero(trace), hexUnlessZero(parent)
	return m, err
}

func hexUnlessZero(raw string) string {
	if strings.Trim(raw, "\x00") == "" {
		return ""
	}
	return hex.EncodeToString([]byte(raw))
}

var deliveryColumns = strings.Join([]string{
	"broker", "topic", "queue_id", "from_offset", "to_offset", "group_name", "client", "addr", "language", "version", "protocol", "node",
	micros("requested"), micros("sent"), "waited", "messages", "filtered", "skipped", "bytes", "attempt", "subscription",
}, ", ")

func scanDelivery(rows driver.Rows) (d trail.Delivery, err error) {
	err = rows.Scan(&d.Broker, &d.Topic, &d.QueueID, &d.From, &d.To, &d.Group, &d.Client, &d.Addr, &d.Language, &d.Version, &d.Protocol, &d.Node,
		&d.RequestedMicros, &d.SentMicros, &d.WaitedMicros, &d.Messages, &d.Filtered, &d.Skipped, &d.Bytes, &d.Attempt, &d.Subscription)
	return d, err
}

var settlementColumns = strings.Join([]string{
	"broker", "topic", "queue_id", "from_offset", "to_offset", "group_name", "outcome", "client", "node", micros("at"), "position",
}, ", ")

func scanSettlement(rows driver.Rows) (s trail.Settlement, err error) {
	err = rows.Scan(&s.Broker, &s.Topic, &s.QueueID, &s.From, &s.To, &s.Group, &s.Outcome, &s.Client, &s.Node, &s.AtMicros, &s.Position)
	return s, err
}

var stepColumns = strings.Join([]string{
	"id", "name", "topic", "group_name", "client", "addr", micros("at"), "duration", "attempt", "status", "error", "source", "detail", "position", "broker", "place",
}, ", ")

func scanStep(rows driver.Rows) (s trail.Step, err error) {
	err = rows.Scan(&s.ID, &s.Name, &s.Topic, &s.Group, &s.Client, &s.Addr, &s.AtMicros, &s.DurationMicros, &s.Attempt, &s.Status, &s.Error, &s.Source, &s.Detail, &s.Position, &s.Broker, &s.Place)
	return s, err
}

var happeningColumns = strings.Join([]string{micros("at"), "kind", "topic", "group_name", "client", "addr", "node", "text", "count", "detail"}, ", ")

func scanHappening(rows driver.Rows) (h trail.Happening, err error) {
	err = rows.Scan(&h.AtMicros, &h.Kind, &h.Topic, &h.Group, &h.Client, &h.Addr, &h.Node, &h.Text, &h.Count, &h.Detail)
	return h, err
}

var shippedColumns = strings.Join([]string{
	micros("at"), "node", "broker", "source", "from_position", "to_position", micros("from_time"), micros("to_time"), "rows", "not_recorded", "reason", "topic",
}, ", ")

func scanShipped(rows driver.Rows) (s trail.Shipped, err error) {
	err = rows.Scan(&s.AtMicros, &s.Node, &s.Broker, &s.Source, &s.From, &s.To, &s.FromMicros, &s.ToMicros, &s.Rows, &s.NotRecorded, &s.Reason, &s.Topic)
	return s, err
}

// collect asks and scans all rows. The list is never nil.
func collect[T any](ctx context.Context, s *Store, scan func(driver.Rows) (T, error), sql string, args ...any) ([]T, error) {
	list := []T{}
	err := s.query(ctx, func(rows driver.Rows) error {
		v, err := scan(rows)
		list = append(list, v)
		return err
	}, sql, args...)
	return list, err
}
