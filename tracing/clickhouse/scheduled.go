package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Scheduled implements trail.Schedule. The histogram counts what is due, from now to the last one found.
func (s *Store) Scheduled(ctx context.Context, q trail.Query) (trail.Matches, error) {
	began := time.Now()
	q.State, q.Before = trail.StateScheduled, ""
	q.FromMicros, q.ToMicros = began.Add(-s.o.KeepFor).UnixMicro(), began.UnixMicro()
	if q.Limit <= 0 {
		q.Limit = searchDefault
	}
	q.Limit = min(q.Limit, searchMax)
	u := &usage{}
	ctx = context.WithValue(ctx, usageKey{}, u)
	f := s.searched(&q)
	f.args = append(f.args, arg("from", q.FromMicros)) // that a filter by group asks for
	m := trail.Matches{Histogram: []trail.Bucket{}}
	var err error
	m.Messages, err = collect(ctx, s, scanMessage, fmt.Sprintf("SELECT %s FROM %s.messages WHERE %s ORDER BY due, position LIMIT 1 BY id LIMIT %d",
		messageColumns, s.o.Database, f.where(), q.Limit), f.args...)
	s.judge(ctx, &q, &m, err)
	if n := len(m.Messages); n > 0 {
		m.Histogram = dueBuckets(m.Messages, q.ToMicros, m.Messages[n-1].DueMicros)
	}
	m.RowsRead, m.BytesRead, m.ElapsedMicros = u.rows.Load(), u.bytes.Load(), time.Since(began).Microseconds()
	return m, nil
}

// dueBuckets counts messages by when they are due.
func dueBuckets(messages []trail.Message, from, to int64) []trail.Bucket {
	width := max(1, (to-from)/histogramBuckets+1)
	buckets := make([]trail.Bucket, histogramBuckets)
	for i := range buckets {
		buckets[i].AtMicros = from + int64(i)*width
	}
	for i := range messages {
		at := min(max(0, (messages[i].DueMicros-from)/width), histogramBuckets-1)
		buckets[at].Count++
	}
	return buckets
}
