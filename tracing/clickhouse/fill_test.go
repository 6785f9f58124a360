package clickhouse

import (
	"context"
	"fmt"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Filled rows: n messages over 8 topics of 4 queues, 1000 a second; each range of 32 delivered to one group and settled.
const (
	filledTopics = 8
	filledQueues = 4
	filledRange  = 32
)

// filledID is the identity of the i-th filled message: a remoting client's, counting up.
func filledID(i int) string { return fmt.Sprintf("7F00000100002A9F4B1C0A1B%08X", i) }

// fill stores n messages, their deliveries and settlements without carrying them through this process.
func fill(t testing.TB, s *Store, n int) {
	t.Helper()
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	const perInsert = 500_000
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 2, "max_insert_threads": 1, "max_block_size": 65_536, "max_memory_usage": 1 << 30}))
	queues := filledTopics * filledQueues
	for from := 0; from < n; from += perInsert {
		to := min(n, from+perInsert)
		messages := fmt.Sprintf(`INSERT INTO %[1]s.messages (id, topic, tag, keys, type, queue_id, queue_offset, position, log_index, stored_bytes, body_bytes, producer_group, producer_client,
			producer_addr, broker, node, born, received, appended, synced, acked, store_key)
			SELECT concat('7F00000100002A9F4B1C0A1B', leftPad(hex(toUInt32(number)), 8, '0')), concat('topic-', toString(number %% %[4]d)), 'tag', [concat('key-', toString(number))], 'normal',
			intDiv(number, %[4]d) %% %[5]d, intDiv(number, %[6]d), number * 400, intDiv(number, 64), 400, 256, 'shop', '10.0.0.7@1', '10.0.0.7:40123', 'broker-a', 'node-1',
			t - toIntervalMicrosecond(900), t - toIntervalMicrosecond(400), t, t + toIntervalMicrosecond(300), t + toIntervalMicrosecond(500 + number %% 97), '7F00000100002A9F'
			FROM (SELECT number, fromUnixTimestamp64Micro(toInt64(%[7]d + number * 1000), 'UTC') AS t FROM numbers(%[2]d, %[3]d))`,
			s.o.Database, from, to-from, filledTopics, filledQueues, queues, at)
		ranges := fmt.Sprintf(`SELECT concat('topic-', toString(number %% %d)), intDiv(number, %d) %% %d, intDiv(number, %d) * %d AS f, f + %d, f, intDiv(f, 256), 0, 'billing'`,
			filledTopics, filledTopics, filledQueues, queues, filledRange, filledRange)
		span := fmt.Sprintf("FROM (SELECT number, fromUnixTimestamp64Micro(toInt64(%d + number * %d), 'UTC') AS t FROM numbers(%d, %d))", at, 1000*filledRange, from/filledRange, (to-from)/filledRange)
		for _, sql := range []string{
			messages,
			fmt.Sprintf("INSERT INTO %s.deliveries (topic, queue_id, from_offset, to_offset, again_to, bucket, piece, group_name, client, requested, sent, messages) %s, '10.0.0.8@1', t, t + toIntervalMicrosecond(800), %d %s", s.o.Database, ranges, filledRange, span),
			fmt.Sprintf("INSERT INTO %s.settlements (topic, queue_id, from_offset, to_offset, again_to, bucket, piece, group_name, outcome, client, at) %s, 'acknowledged', '10.0.0.8@1', t + toIntervalMillisecond(20) %s", s.o.Database, ranges, span),
		} {
			if err := s.conn.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
	}
}
