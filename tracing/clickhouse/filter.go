package clickhouse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

// filter is a WHERE clause with bound parameters.
type filter struct {
	terms []string
	args  []any
}

func (f *filter) add(term string, args ...any) {
	f.terms = append(f.terms, term)
	f.args = append(f.args, args...)
}

func (f *filter) where() string {
	if len(f.terms) == 0 {
		return "1"
	}
	return strings.Join(f.terms, " AND ")
}

// equal adds column = value unless value is empty.
func (f *filter) equal(column, name, value string) {
	if value != "" {
		f.add(column+" = {"+name+":String}", arg(name, value))
	}
}

func microsParam(name string) string { return "fromUnixTimestamp64Micro({" + name + ":Int64}, 'UTC')" }

// searched is the filter of a query without its time.
func (s *Store) searched(q *trail.Query) *filter {
	f := &filter{}
	inTopic(f, q)
	s.inState(f, q.State)
	f.equal("tag", "tag", q.Tag)
	f.equal("producer_group", "producerGroup", q.ProducerGroup)
	if q.ID != "" {
		term, args := byID(q.ID)
		f.add(term, args...)
	}
	if q.Key != "" {
		f.add("has(keys, {key:String})", arg("key", q.Key))
	}
	if q.Client != "" {
		f.add("(producer_client = {client:String} OR producer_addr = {client:String} OR startsWith(producer_addr, concat({client:String}, ':')))", arg("client", q.Client))
	}
	if q.Group != "" {
		f.add(fmt.Sprintf("(broker, topic, queue_id, queue_offset) IN (SELECT broker, topic, queue_id, arrayJoin(range(from_offset, to_offset)) FROM %s.deliveries"+
			" WHERE group_name = {group:String} AND sent >= %s AND piece = 0 AND bucket != %d)", s.o.Database, microsParam("from"), noBucket), arg("group", q.Group))
	}
	return f
}

// parking is the list of parking topics in SQL: the tables are ordered by topic.
var parking = "('" + trail.ScheduleTopic + "', '" + trail.WheelTopic + "')"

// hiding is the list of topics whose copies a step may name by their place.
var hiding = "('" + trail.ScheduleTopic + "', '" + trail.WheelTopic + "', '" + trail.HalfTopic + "')"

// waitsFor matches what is parked for the topic of the query.
var waitsFor = "(topic IN " + parking + " AND real_topic = {topic:String})"

// inTopic matches a topic: what is stored there, what waits for it and, when retries or dead letters are asked for, theirs that were consumed
// from it.
func inTopic(f *filter, q *trail.Query) {
	if q.Topic == "" {
		return
	}
	term := "topic = {topic:String} OR " + waitsFor
	if q.State == trail.StateHalf {
		term = "real_topic = {topic:String}" // the topics are the state's
	}
	if q.State == trail.StateRetried || q.State == trail.StateDead {
		term += " OR origin_topic = {topic:String}"
	}
	f.add("("+term+")", arg("topic", q.Topic))
}

// inState matches a state. What is due counts as fired: rows of what the broker fired come a moment later.
func (s *Store) inState(f *filter, state string) {
	parked := "(topic IN " + parking + " AND timing IN ('" + trail.TimingParked + "', '" + trail.TimingRolled + "'))"
	cancelled := fmt.Sprintf("id IN (SELECT id FROM %[1]s.messages WHERE topic IN %[2]s AND (broker, position) IN (SELECT broker, place FROM %[1]s.steps WHERE name = '%[3]s'))",
		s.o.Database, parking, trail.StepCancel) // what is cancelled is its newest copy
	retry := "startsWith(real_topic, '" + trail.RetryPrefix + "')"
	switch state {
	case trail.StateScheduled:
		f.add(parked + " AND NOT " + retry + " AND due > now64(6, 'UTC') AND NOT " + cancelled)
	case trail.StateFired:
		f.add("timing = '" + trail.TimingFired + "' AND NOT startsWith(topic, '" + trail.RetryPrefix + "')")
	case trail.StateCancelled:
		f.add(parked + " AND " + cancelled)
	case trail.StateRetried:
		f.add("(startsWith(topic, '" + trail.RetryPrefix + "') OR (" + parked + " AND " + retry + " AND due > now64(6, 'UTC')))")
	case trail.StateHalf:
		f.add("topic IN ('" + trail.HalfTopic + "', '" + trail.DiscardTopic + "') AND timing IN ('" + trail.TimingHalf + "', '" + trail.TimingDiscarded + "')")
	case trail.StateDead:
		f.add("startsWith(topic, '" + trail.DeadPrefix + "')")
	}
}

// byID matches an identity or an offset message id; one text may be either.
func byID(id string) (string, []any) {
	storeKey, position, ok := splitOffsetID(id)
	if !ok {
		return "id = {id:String}", []any{arg("id", id)}
	}
	return "(id = {id:String} OR (position = {position:Int64} AND store_key = {storeKey:String}))",
		[]any{arg("id", id), arg("position", position), arg("storeKey", storeKey)}
}

// splitOffsetID gives an offset message id's store key and position.
func splitOffsetID(id string) (storeKey string, position int64, ok bool) {
	id = strings.ToUpper(id)
	if _, position, err := message.ParseOffsetID(id); err == nil && position >= 0 {
		return id[:len(id)-16], position, true
	}
	return "", 0, false
}

// cursor is a place between two messages of a search: newest first, the log position and the broker break ties.
type cursor struct {
	micros, position int64
	broker           string
}

func (c cursor) String() string {
	return strconv.FormatInt(c.micros, 10) + "-" + strconv.FormatInt(c.position, 10) + "-" + c.broker
}

func parseCursor(s string) (c cursor, err error) {
	parts := strings.SplitN(s, "-", 3)
	if len(parts) == 3 {
		c.micros, err = strconv.ParseInt(parts[0], 10, 64)
		if err == nil {
			c.position, err = strconv.ParseInt(parts[1], 10, 64)
		}
		c.broker = parts[2]
	}
	if len(parts) != 3 || err != nil {
		return c, fmt.Errorf("cursor %q: it must be the next of an earlier answer", s)
	}
	return c, nil
}

func (c cursor) add(f *filter) {
	f.add("(toUnixTimestamp64Micro(appended), position, broker) < ({cursorMicros:Int64}, {cursorPosition:Int64}, {cursorBroker:String})",
		arg("cursorMicros", c.micros), arg("cursorPosition", c.position), arg("cursorBroker", c.broker))
	f.add("appended <= "+microsParam("cursorMicros"), arg("cursorMicros", c.micros))
}
