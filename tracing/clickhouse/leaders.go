package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

const (
	leaderChangesMax = 5000
	// lastAnswered is how far before the next leader the last message of a term is looked for.
	lastAnswered = 10 * time.Minute
)

// Leaders implements trail.Leaders. The leader at the begin of the span is that of the last change before it.
func (s *Store) Leaders(ctx context.Context, broker string, from, to int64) ([]trail.Leadership, error) {
	before, err := s.leaderChanges(ctx, "at < "+microsParam("from")+" AND detail['"+trail.DetailState+"'] = '"+trail.StateLeads+"'", "at DESC", 1, broker, from, to)
	if err != nil {
		return nil, err
	}
	since := from
	if len(before) > 0 {
		since = before[0].AtMicros
	}
	changes, err := s.leaderChanges(ctx, "at >= "+microsParam("from")+" AND at <= "+microsParam("to"), "at", leaderChangesMax, broker, since, to)
	if err != nil {
		return nil, err
	}
	list := trail.Leaderships(broker, changes, func(l *trail.Leadership, next int64) int64 {
		at, e := s.lastOfTerm(ctx, l, next)
		if e != nil {
			err = e
		}
		return at
	})
	return list, err
}

func (s *Store) leaderChanges(ctx context.Context, where, order string, limit int, broker string, from, to int64) ([]trail.Happening, error) {
	return collect(ctx, s, scanHappening, fmt.Sprintf("SELECT %s FROM %s.happenings WHERE kind = '%s' AND detail['%s'] = {broker:String} AND %s ORDER BY %s LIMIT %d",
		happeningColumns, s.o.Database, trail.KindLeaderChange, trail.DetailBroker, where, order, limit), arg("broker", broker), arg("from", from), arg("to", to))
}

// lastOfTerm is when the last message of a term was answered, 0 when none is known.
func (s *Store) lastOfTerm(ctx context.Context, l *trail.Leadership, next int64) (at int64, err error) {
	after := max(l.FromMicros, next-lastAnswered.Microseconds())
	err = s.query(ctx, func(rows driver.Rows) error { return rows.Scan(&at) },
		fmt.Sprintf("SELECT %s FROM %s.messages WHERE broker = {broker:String} AND term = {term:UInt64} AND appended >= %s AND appended <= %s",
			micros("max(acked)"), s.o.Database, microsParam("after"), microsParam("next")),
		arg("broker", l.Broker), arg("term", l.Term), arg("after", after), arg("next", next))
	return at, err
}
