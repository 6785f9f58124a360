package clickhouse

import (
	"context"
	"fmt"
	"strings"
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

// cancelsAtATime bounds the places that one query names: they go into its address.
const cancelsAtATime = 100

// markCancelled fills when those that waited were cancelled.
func (s *Store) markCancelled(ctx context.Context, messages []trail.Message) error {
	waiting := map[string]*trail.Message{}
	for i := range messages {
		m := &messages[i]
		if !m.Parked() {
			continue
		}
		waiting[placeID(m.Broker, m.Position)] = m
		if len(waiting) == cancelsAtATime {
			if err := s.cancelsOf(ctx, waiting); err != nil {
				return err
			}
			clear(waiting)
		}
	}
	return s.cancelsOf(ctx, waiting)
}

func (s *Store) cancelsOf(ctx context.Context, waiting map[string]*trail.Message) error {
	if len(waiting) == 0 {
		return nil
	}
	var names []string
	var args []any
	for id := range waiting {
		name := fmt.Sprint("place", len(names))
		names, args = append(names, "{"+name+":String}"), append(args, arg(name, id))
	}
	cancels, err := collect(ctx, s, scanStep, fmt.Sprintf("SELECT %s FROM %s.steps WHERE id IN (%s) AND name = '%s'", stepColumns, s.o.Database, strings.Join(names, ", "), trail.StepCancel), args...)
	for i := range cancels {
		if m := waiting[cancels[i].ID]; m != nil {
			m.CancelledMicros = cancels[i].AtMicros
		}
	}
	return err
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
