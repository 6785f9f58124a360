package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

var cutColumns = strings.Join([]string{
	"broker", "log", "seq", "from_index", "to_index", "from_position", "to_position", "from_term", "to_term", micros("from_time"),
	micros("to_time"), "node", "mark", micros("at"),
}, ", ")

// LastCut implements trail.Writer.
func (s *Store) LastCut(ctx context.Context, broker, group string) (c trail.Cut, err error) {
	err = s.query(ctx, func(rows driver.Rows) error {
		return rows.Scan(&c.Broker, &c.Group, &c.Seq, &c.From, &c.To, &c.FromPosition, &c.ToPosition, &c.FromTerm, &c.ToTerm, &c.FromMicros,
			&c.ToMicros, &c.Node, &c.Mark, &c.AtMicros)
	}, fmt.Sprintf("SELECT %s FROM %s.ship_cuts WHERE broker = {broker:String} AND log = {log:String} ORDER BY seq DESC LIMIT 1", cutColumns, s.o.Database),
		arg("broker", broker), arg("log", group))
	return c, err
}

// Times between two looks at a cut that was taken but is not to be seen yet: replicas follow each other.
const (
	seenAgain  = 50 * time.Millisecond
	seenWithin = 10 * time.Second
)

// Decide implements trail.Writer. The token names the log and the number only, so the server takes one row of each number. What
// counts is what is read back: a number that was decided long ago and is remembered no more shows as older than the newest.
func (s *Store) Decide(ctx context.Context, c trail.Cut) (trail.Cut, error) {
	t := newCuts()
	t.add(&c)
	if err := s.insert(ctx, fmt.Sprintf("cut/%s/%s/%d", c.Broker, c.Group, c.Seq), &t.table); err != nil {
		return trail.Cut{}, err
	}
	for until := time.Now().Add(seenWithin); ; {
		last, err := s.LastCut(ctx, c.Broker, c.Group)
		if err != nil || last.Seq >= c.Seq {
			return last, err
		}
		if time.Now().After(until) {
			return last, fmt.Errorf("trail store: cut %d of %s was taken but is not to be seen; the newest is %d", c.Seq, c.Broker, last.Seq)
		}
		select {
		case <-time.After(seenAgain):
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}
