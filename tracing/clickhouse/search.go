package clickhouse

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Limits of a search.
const (
	searchDefault    = 100
	searchMax        = 1000
	histogramBuckets = 60
)

// windows are the pieces in which a search goes back in time, so that a search for the newest needs not look at all: the
// first are short, the last one is the rest.
var windows = []time.Duration{15 * time.Second, 2 * time.Minute, 20 * time.Minute, 4 * time.Hour}

// Search implements trail.Reader.
func (s *Store) Search(ctx context.Context, q trail.Query) (trail.Matches, error) {
	began := time.Now()
	if q.ToMicros <= q.FromMicros {
		return trail.Matches{}, fmt.Errorf("search: from %d to %d µs is no time span", q.FromMicros, q.ToMicros)
	}
	if q.Limit <= 0 {
		q.Limit = searchDefault
	}
	q.Limit = min(q.Limit, searchMax)
	f := s.searched(&q)
	to := q.ToMicros
	if q.Before != "" {
		c, err := parseCursor(q.Before)
		if err != nil {
			return trail.Matches{}, fmt.Errorf("search: %w", err)
		}
		c.add(f)
		to = min(to, c.micros+1)
	}
	u := &usage{}
	ctx = context.WithValue(ctx, usageKey{}, u)
	m := trail.Matches{Messages: []trail.Message{}, Histogram: []trail.Bucket{}}
	err := s.searchWindows(ctx, &q, f, to, &m)
	if err == nil {
		err = s.markCancelled(ctx, m.Messages)
	}
	if err == nil && q.Before == "" {
		m.Histogram, err = s.histogram(ctx, &q)
	}
	s.judge(ctx, &q, &m, err)
	m.RowsRead, m.BytesRead, m.ElapsedMicros = u.rows.Load(), u.bytes.Load(), time.Since(began).Microseconds()
	return m, nil
}

// searchWindows goes back in time until there are enough.
func (s *Store) searchWindows(ctx context.Context, q *trail.Query, f *filter, to int64, m *trail.Matches) error {
	steps := windows
	if q.ID != "" || q.Key != "" {
		steps = nil // the index finds it at once, wherever it is
	}
	for i := 0; to > q.FromMicros; i++ {
		from := q.FromMicros
		if i < len(steps) {
			from = max(from, to-steps[i].Microseconds())
		}
		found, err := s.window(ctx, f, from, to, q.Limit-len(m.Messages))
		if err != nil {
			return err
		}
		m.Messages = append(m.Messages, found...)
		if len(m.Messages) >= q.Limit {
			last := &m.Messages[len(m.Messages)-1]
			m.Next = cursor{last.AppendedMicros, last.Position, last.Broker}.String()
			return nil
		}
		to = from
	}
	return nil
}

func (s *Store) window(ctx context.Context, f *filter, from, to int64, limit int) ([]trail.Message, error) {
	sql := fmt.Sprintf("SELECT %s FROM %s.messages WHERE %s AND appended >= %s AND appended < %s ORDER BY appended DESC, position DESC, broker DESC LIMIT %d",
		messageColumns, s.o.Database, f.where(), microsParam("from"), microsParam("to"), limit)
	args := append(append([]any{}, f.args...), arg("from", from), arg("to", to))
	return collect(ctx, s, scanMessage, sql, args...)
}

// histogram counts all matches over the whole time of the query. Whole minutes come from the rollup where it knows the filter.
func (s *Store) histogram(ctx context.Context, q *trail.Query) ([]trail.Bucket, error) {
	width := max(1, (q.ToMicros-q.FromMicros+histogramBuckets-1)/histogramBuckets)
	rolled := width >= time.Minute.Microseconds() && *q == trail.Query{Topic: q.Topic, FromMicros: q.FromMicros, ToMicros: q.ToMicros, Limit: q.Limit}
	buckets := make([]trail.Bucket, 0, histogramBuckets)
	for at := q.FromMicros; at < q.ToMicros; at += width {
		buckets = append(buckets, trail.Bucket{AtMicros: at})
	}
	if !rolled {
		return buckets, s.countMessages(ctx, q, q.FromMicros, q.ToMicros, width, buckets)
	}
	minute := time.Minute.Microseconds()
	first, last := (q.FromMicros+minute-1)/minute*minute, q.ToMicros/minute*minute
	return buckets, together(ctx, []func(context.Context) error{
		func(c context.Context) error { return s.countMinutes(c, q, first, last, width, buckets) },
		func(c context.Context) error {
			err := s.countMessages(c, q, q.FromMicros, first, width, buckets)
			if err == nil {
				err = s.countMessages(c, q, last, q.ToMicros, width, buckets)
			}
			return err
		},
		func(c context.Context) error { return s.countWaiting(c, q, first, last, width, buckets) },
	})
}

// countWaiting adds what waits for a topic: the rollup counts it in its parking topic.
func (s *Store) countWaiting(ctx context.Context, q *trail.Query, from, to, width int64, buckets []trail.Bucket) error {
	if q.Topic == "" {
		return nil
	}
	f := &filter{}
	f.add(waitsFor, arg("topic", q.Topic))
	return s.countFiltered(ctx, f, q, from, to, width, buckets)
}

// countMessages adds the messages of a time span to the buckets.
func (s *Store) countMessages(ctx context.Context, q *trail.Query, from, to, width int64, buckets []trail.Bucket) error {
	return s.countFiltered(ctx, s.searched(q), q, from, to, width, buckets)
}

func (s *Store) countFiltered(ctx context.Context, f *filter, q *trail.Query, from, to, width int64, buckets []trail.Bucket) error {
	f.add("appended >= "+microsParam("from")+" AND appended < "+microsParam("to"), arg("from", from), arg("to", to), arg("begin", q.FromMicros), arg("width", width))
	return s.addCounts(ctx, buckets, fmt.Sprintf("SELECT intDiv(toUnixTimestamp64Micro(appended) - {begin:Int64}, {width:Int64}) AS b, count() FROM %s.messages WHERE %s GROUP BY b", s.o.Database, f.where()), f.args)
}

// countMinutes adds whole minutes to the buckets in which they begin.
func (s *Store) countMinutes(ctx context.Context, q *trail.Query, from, to, width int64, buckets []trail.Bucket) error {
	f := &filter{}
	f.equal("topic", "topic", q.Topic)
	f.add("step = 'store' AND minute >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC') AND minute < toDateTime(intDiv({to:Int64}, 1000000), 'UTC')",
		arg("from", from), arg("to", to), arg("begin", q.FromMicros), arg("width", width))
	return s.addCounts(ctx, buckets, fmt.Sprintf("SELECT intDiv(toInt64(toUnixTimestamp(minute)) * 1000000 - {begin:Int64}, {width:Int64}) AS b, sum(count) FROM %s.rollup_minute WHERE %s GROUP BY b", s.o.Database, f.where()), f.args)
}

func (s *Store) addCounts(ctx context.Context, buckets []trail.Bucket, sql string, args []any) error {
	return s.query(ctx, func(rows driver.Rows) error {
		var b int64
		var n uint64
		err := rows.Scan(&b, &n)
		if err == nil && b >= 0 && b < int64(len(buckets)) {
			atomic.AddUint64(&buckets[b].Count, n)
		}
		return err
	}, sql, args...)
}

// judge says how the answer is to be read.
func (s *Store) judge(ctx context.Context, q *trail.Query, m *trail.Matches, err error) {
	switch {
	case err != nil:
		*m = trail.Matches{Answer: trail.Failed, Reason: reason(err), Messages: []trail.Message{}, Histogram: []trail.Bucket{}}
	case len(m.Messages) > 0:
		m.Answer = trail.Found
	default:
		m.Answer, m.Reason = s.whyNothing(ctx, q.FromMicros, q.ToMicros, q.Topic)
	}
}

// whyNothing tells "there is none" from "it cannot be known" for a time span.
func (s *Store) whyNothing(ctx context.Context, from, to int64, topic string) (trail.Answer, string) {
	holes, err := s.holes(ctx, from, to, topic)
	if err != nil {
		return trail.Failed, reason(err)
	}
	if len(holes) > 0 {
		return trail.NotRecorded, holeText(holes)
	}
	now := time.Now()
	if oldest := now.Add(-s.o.KeepFor - time.Minute).UnixMicro(); from < oldest {
		return trail.NotRecorded, fmt.Sprintf("rows older than %s are no longer kept", s.o.KeepFor)
	}
	if p := s.Progress(); p.ShippedToMicros > 0 && p.ShippedToMicros < min(to, now.UnixMicro()) && p.LagMicros > shippingSoon {
		return trail.NotRecorded, fmt.Sprintf("the trail is shipped up to %s, the newest part is not in the store yet", time.UnixMicro(p.ShippedToMicros).UTC().Format(time.RFC3339))
	}
	return trail.Nothing, ""
}

// shippingSoon is a lag that is normal, µs.
const shippingSoon = 3_000_000

// holes are what was not recorded in a time span: of one topic and of all.
func (s *Store) holes(ctx context.Context, from, to int64, topics ...string) ([]trail.Shipped, error) {
	f := &filter{}
	f.add("not_recorded > 0 AND to_time >= "+microsParam("from")+" AND from_time <= "+microsParam("to"), arg("from", from), arg("to", to))
	if len(topics) > 0 && topics[0] != "" {
		f.add("(topic = '' OR has({topics:Array(String)}, topic))", arg("topics", topics))
	}
	return collect(ctx, s, scanShipped, fmt.Sprintf("SELECT %s FROM %s.ship_log WHERE %s ORDER BY from_time LIMIT %d", shippedColumns, s.o.Database, f.where(), holesMax), f.args...)
}

const holesMax = 100

func holeText(holes []trail.Shipped) string {
	h := holes[0]
	more := ""
	if len(holes) > 1 {
		more = fmt.Sprintf(", and %d more holes", len(holes)-1)
	}
	return fmt.Sprintf("%d not recorded on %s between %s and %s: %s%s", h.NotRecorded, h.Node, time.UnixMicro(h.FromMicros).UTC().Format(time.RFC3339),
		time.UnixMicro(h.ToMicros).UTC().Format(time.RFC3339), h.Reason, more)
}
