package clickhouse

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

const (
	rateStepMin   = time.Minute
	rateRowsMax   = 50_000
	happeningsTop = 1000
)

// Happenings implements trail.Reader, newest first.
func (s *Store) Happenings(ctx context.Context, from, to int64, limit int) ([]trail.Happening, error) {
	if limit <= 0 || limit > happeningsTop {
		limit = happeningsTop
	}
	return collect(ctx, s, scanHappening, fmt.Sprintf("SELECT %s FROM %s.happenings WHERE at >= %s AND at < %s ORDER BY at DESC LIMIT %d",
		happeningColumns, s.o.Database, microsParam("from"), microsParam("to"), limit), arg("from", from), arg("to", to))
}

// Rates implements trail.Reader. Without topic and group it sums over all topics and over all groups; with either, there
// is a series per topic, group and step.
func (s *Store) Rates(ctx context.Context, from, to, step int64, topic, group string) ([]trail.Rate, error) {
	step = max(step, rateStepMin.Microseconds())
	f := &filter{}
	f.add("minute >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC') AND minute < toDateTime(intDiv({to:Int64} + 999999, 1000000), 'UTC')", arg("from", from), arg("to", to))
	f.equal("topic", "topic", topic)
	f.equal("group_name", "group", group)
	names := "topic, group_name"
	if topic == "" && group == "" {
		names = "'' AS topic_, '' AS group_"
	}
	sql := fmt.Sprintf("SELECT intDiv(toInt64(toUnixTimestamp(minute)) * 1000000, {step:Int64}) * {step:Int64} AS t, %s, step, sum(count), sum(bytes), sumMap(buckets)"+
		" FROM %s.rollup_minute WHERE %s GROUP BY ALL ORDER BY ALL LIMIT %d", names, s.o.Database, f.where(), rateRowsMax)
	return collect(ctx, s, scanRate, sql, append(f.args, arg("step", step))...)
}

func scanRate(rows driver.Rows) (r trail.Rate, err error) {
	var buckets map[uint8]uint64
	err = rows.Scan(&r.AtMicros, &r.Topic, &r.Group, &r.Step, &r.Count, &r.Bytes, &buckets)
	r.P50, r.P99 = quantile(buckets, 0.5), quantile(buckets, 0.99)
	return r, err
}

// quantile reads a histogram of buckets that grow by 2^(1/4): the middle of the bucket, at most 9 % off. 0: nothing in it.
func quantile(buckets map[uint8]uint64, q float64) float64 {
	var total uint64
	var keys []uint8
	for k, n := range buckets {
		total += n
		keys = append(keys, k)
	}
	if total == 0 {
		return 0
	}
	slices.Sort(keys)
	rank := uint64(math.Ceil(q * float64(total)))
	var seen uint64
	for _, k := range keys {
		if seen += buckets[k]; seen >= rank {
			return math.Exp2((float64(k) + 0.5) / 4)
		}
	}
	return 0
}
