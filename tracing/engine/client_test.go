package engine_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/contrailmq/contrail/tracing/engine"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// What clickhouse-go offers must work as against a server: this file is that contract.

func open(t *testing.T, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	o := enginetest.Options(t)
	if change != nil {
		change(o)
	}
	return connect(t, o)
}

func connect(t testing.TB, o *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func run(t testing.TB, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one gives the single value of a query.
func one[T any](t *testing.T, conn driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// native encodes one block of (id, name) rows as the shipper does: revision 0, by hand.
func native(t testing.TB, ids []uint64, name func(uint64) string) []byte {
	t.Helper()
	var col proto.ColUInt64
	var names proto.ColStr
	for _, id := range ids {
		col.Append(id)
		names.Append(name(id))
	}
	var b proto.Buffer
	block := proto.Block{Columns: 2, Rows: len(ids)}
	if err := block.EncodeRawBlock(&b, 0, []proto.InputColumn{{Name: "id", Data: col}, {Name: "name", Data: names}}); err != nil {
		t.Fatal(err)
	}
	return b.Buf
}

func sequence(from, n uint64) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = from + uint64(i)
	}
	return ids
}

func wantCode(t *testing.T, err error, code int32) *clickhouse.Exception {
	t.Helper()
	var e *clickhouse.Exception
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("want an exception with code %d, got %v", code, err)
	}
	return e
}

var methods = map[string]clickhouse.CompressionMethod{
	"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD, "gzip": clickhouse.CompressionGZIP,
}

type row struct {
	ID    uint64            `ch:"id"`
	At    time.Time         `ch:"at"`
	Kind  string            `ch:"kind"`
	Attrs map[string]string `ch:"attrs"`
	Maybe []*int64          `ch:"maybe"`
	State string            `ch:"state"`
	Fixed string            `ch:"fixed"`
	UUID  uuid.UUID         `ch:"uuid"`
	Yes   bool              `ch:"yes"`
	Pair  []any             `ch:"pair"`
	Nest  []string          `ch:"nest.a"`
}

const rowTable = `CREATE TABLE t (id UInt64, at DateTime64(9, 'UTC'), kind LowCardinality(String), attrs Map(LowCardinality(String), String),
	maybe Array(Nullable(Int64)), state Enum8('ok' = 1, 'bad' = 2), fixed FixedString(4), uuid UUID, yes Bool, pair Tuple(String, Int32),
	nest Nested(a String)) ENGINE = MergeTree ORDER BY id`

func sample(id uint64) row {
	n := int64(id)
	return row{
		ID: id, At: time.Unix(1_700_000_000, int64(id)).UTC(), Kind: fmt.Sprint("kind", id%7), Attrs: map[string]string{"k\n\n": fmt.Sprint(id)},
		Maybe: []*int64{&n, nil}, State: []string{"ok", "bad"}[id%2], Fixed: fmt.Sprintf("%04d", id%10000), UUID: uuid.UUID{byte(id), 1},
		Yes: id%3 == 0, Pair: []any{"p", int32(id)}, Nest: []string{"x", "\n\n"},
	}
}

func TestBatchAndSelectOfAllTypes(t *testing.T) {
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			conn := open(t, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
			run(t, conn, rowTable)
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
			if err != nil {
				t.Fatal(err)
			}
			const rows = 20_000
			for id := range uint64(rows) {
				r := sample(id)
				if err := batch.Append(r.ID, r.At, r.Kind, r.Attrs, r.Maybe, r.State, r.Fixed, r.UUID, r.Yes, r.Pair, r.Nest); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			var got []row
			if err := conn.Select(ctx, &got, "SELECT * FROM t ORDER BY id"); err != nil {
				t.Fatal(err)
			}
			if len(got) != rows {
				t.Fatalf("%d rows, want %d", len(got), rows)
			}
			for id, r := range got {
				if want := sample(uint64(id)); !reflect.DeepEqual(r, want) {
					t.Fatalf("row %d: %+v, want %+v", id, r, want)
				}
			}
		})
	}
}

func TestInsertFormat(t *testing.T) {
	ctx := context.Background()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			conn := open(t, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
			run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
			data := append(native(t, sequence(0, 5000), func(id uint64) string { return fmt.Sprint("n", id) }), native(t, []uint64{5000}, func(uint64) string { return "last" })...)
			if err := conn.InsertFormat(ctx, "Native", "INSERT INTO t (id, name) SETTINGS optimize_on_insert = 0", bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if err := conn.InsertFormat(ctx, "CSV", "INSERT INTO t (name, id)", strings.NewReader("\"five,\n\nthousand\",6000\n")); err != nil {
				t.Fatal(err)
			}
			if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 5002 {
				t.Fatalf("%d rows", n)
			}
			if name := one[string](t, conn, "SELECT name FROM t WHERE id = 6000"); name != "five,\n\nthousand" {
				t.Fatalf("%q", name)
			}
		})
	}
}

func TestQueryFormatStreams(t *testing.T) {
	conn := open(t, nil)
	body, err := conn.QueryFormat(context.Background(), "JSONEachRow", "SELECT number AS n FROM numbers(3)")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestBoundParameters(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO t VALUES (?, ?)", 1, "it's\n\\ a \"name\"")
	if n := one[uint64](t, conn, "SELECT count() FROM t WHERE name = ? AND id = ?", "it's\n\\ a \"name\"", 1); n != 1 {
		t.Error("positional binds")
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t WHERE name = @name", clickhouse.Named("name", "it's\n\\ a \"name\"")); n != 1 {
		t.Error("named binds")
	}
	ctx := clickhouse.Context(context.Background(), clickhouse.WithParameters(clickhouse.Parameters{"table": "t", "name": `it's\n\\ a "name"`, "id": "1"})) // escaped, as the server wants them
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM {table:Identifier} WHERE name = {name:String} AND id = {id:UInt64}").Scan(&n); err != nil || n != 1 {
		t.Errorf("parameters: %d, %v", n, err)
	}
	// The whole-answer path takes them too.
	if s := one[string](t, conn, "SELECT arrayStringConcat(groupArray(x), '|') FROM (SELECT {a:String} AS x UNION ALL SELECT {a:String})",
		clickhouse.Named("a", "é\t\x00")); s != "é\t\x00|é\t\x00" {
		t.Errorf("%q", s)
	}
}

func TestExceptionsAreTyped(t *testing.T) {
	ctx := context.Background()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			conn := open(t, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
			for sql, want := range map[string]struct {
				code   int32
				status int
			}{
				"SELEC 1":                    {62, 400},
				"SELECT * FROM nothing_here": {60, 404},
				"SELECT throwIf(1, 'given')": {395, 500},
				"SELECT toUInt8('x')":        {6, 400},
				"SELECT 1; SELECT 2":         {62, 400},
				"":                           {62, 400},
			} {
				err := conn.Exec(ctx, sql)
				wantCode(t, err, want.code)
				var h *clickhouse.HTTPError
				if !errors.As(err, &h) || h.StatusCode != want.status {
					t.Errorf("%q: %v, want status %d", sql, err, want.status)
				}
				_, err = conn.Query(ctx, sql)
				wantCode(t, err, want.code)
			}
		})
	}
}

// The text of an error must not show the front's own additions, and its positions must be those of the client's text.
func TestErrorPositionsAreTheClients(t *testing.T) {
	conn := open(t, nil)
	err := conn.Exec(context.Background(), "SELECT 1 +* 2")
	if e := wantCode(t, err, 62); !strings.Contains(e.Message, "position 13 (2): 2. Expected") {
		t.Errorf("%v", e)
	}
}

func TestExceptionInMidStream(t *testing.T) {
	ctx := context.Background()
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			conn := open(t, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
			rows, err := conn.Query(ctx, "SELECT throwIf(number = 600000, 'given') FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rows.Next() {
				n++
			}
			if e := wantCode(t, rows.Err(), 395); !strings.Contains(e.Message, "given") {
				t.Errorf("%v", e)
			}
			if n == 0 {
				t.Error("no row before the exception: the answer was not streamed")
			}
			body, err := conn.QueryFormat(ctx, "TSV", "SELECT throwIf(number = 600000, 'given') FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1")
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			_, err = io.Copy(io.Discard, body)
			wantCode(t, err, 395)
			if v := one[uint8](t, conn, "SELECT 1"); v != 1 {
				t.Error("the connection is of no use after the exception")
			}
		})
	}
}

func TestWaitEndOfQueryGivesAStatus(t *testing.T) {
	conn := open(t, nil)
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"wait_end_of_query": 1}))
	_, err := conn.Query(ctx, "SELECT throwIf(number = 600000, 'given') FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1")
	wantCode(t, err, 395)
	rows, err := conn.Query(ctx, "SELECT number FROM numbers(100000)")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if n != 100_000 || rows.Err() != nil {
		t.Fatalf("%d rows, %v", n, rows.Err())
	}
}

// Settings last for one request, on every session of the pool.
func TestSettingsEndWithTheirRequest(t *testing.T) {
	conn := open(t, nil)
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 1234, "max_threads": 1}), clickhouse.WithQueryID("my-id"))
	var size, threads string
	const ask = "SELECT toString(getSetting('max_block_size')), toString(getSetting('max_threads'))"
	if err := conn.QueryRow(ctx, ask).Scan(&size, &threads); err != nil || size != "1234" || threads != "1" {
		t.Fatalf("%s, %s, %v", size, threads, err)
	}
	run(t, conn, "SET max_block_size = 77")
	run(t, conn, "USE system")
	run(t, conn, "CREATE TEMPORARY TABLE tmp (x UInt8)")
	for range 20 {
		if err := conn.QueryRow(context.Background(), ask).Scan(&size, &threads); err != nil || size != "65409" || threads != "2" {
			t.Fatalf("%s, %s, %v", size, threads, err)
		}
		if db := one[string](t, conn, "SELECT currentDatabase()"); !strings.HasPrefix(db, "test_") {
			t.Fatalf("database %s", db)
		}
		wantCode(t, conn.Exec(context.Background(), "SELECT * FROM tmp"), 60)
	}
	ctx = clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 1}))
	wantCode(t, conn.Exec(ctx, "SELECT 1"), 115)
	ctx = clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_threads; DROP": 1}))
	if err := conn.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("a setting's name is taken as it is")
	}
}

func TestDeadlinesEndQueries(t *testing.T) {
	conn := open(t, nil)
	const endless = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := conn.QueryRow(ctx, endless).Scan(new(uint64))
	if err == nil || time.Since(began) > 5*time.Second {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
	began = time.Now()
	ctx = clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 1}))
	wantCode(t, conn.Exec(ctx, endless), 159)
	if d := time.Since(began); d > 5*time.Second {
		t.Fatalf("max_execution_time of 1 s took %v", d)
	}
}

func TestAsyncInsert(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	ctx := clickhouse.Context(context.Background(), clickhouse.WithAsync(true))
	if err := conn.Exec(ctx, "INSERT INTO t VALUES (1, 'a')"); err != nil {
		t.Fatal(err)
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 1 {
		t.Fatalf("%d rows", n)
	}
}

func TestExternalTables(t *testing.T) {
	conn := open(t, nil)
	table, err := ext.NewTable("wanted", ext.Column("id", "UInt64"), ext.Column("why", "String"))
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint64(10) {
		if err := table.Append(id*3, "because"); err != nil {
			t.Fatal(err)
		}
	}
	ctx := clickhouse.Context(context.Background(), clickhouse.WithExternalTable(table))
	for range 2 {
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM numbers(10) AS n JOIN wanted ON n.number = wanted.id").Scan(&n); err != nil || n != 4 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	wantCode(t, conn.Exec(context.Background(), "SELECT * FROM wanted"), 60)
}

func TestDatabaseSQL(t *testing.T) {
	db := clickhouse.OpenDB(enginetest.Options(t))
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	if err := insertTx(db); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := db.QueryRow("SELECT count() FROM t WHERE id < ?", 50).Scan(&n); err != nil || n != 50 {
		t.Fatalf("%d, %v", n, err)
	}
}

func insertTx(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	stmt, err := tx.Prepare("INSERT INTO t (id, name)")
	if err != nil {
		return err
	}
	for id := range 100 {
		if _, err := stmt.Exec(uint64(id), "x"); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func TestStatementsOfASchema(t *testing.T) {
	conn := open(t, nil)
	for _, sql := range []string{
		"CREATE TABLE t (id UInt64, at DateTime, name String, INDEX n name TYPE bloom_filter GRANULARITY 1) ENGINE = MergeTree PARTITION BY toDate(at) ORDER BY id TTL at + INTERVAL 1 DAY",
		"CREATE TABLE r (minute DateTime, n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY minute",
		"CREATE MATERIALIZED VIEW mv TO r AS SELECT toStartOfMinute(at) AS minute, count() AS n FROM t GROUP BY minute",
		"CREATE VIEW v AS SELECT id FROM t",
		"ALTER TABLE t ADD COLUMN more String DEFAULT 'd' -- a comment at the end",
		"ALTER TABLE t ADD PROJECTION p (SELECT name, count() GROUP BY name);",
		"INSERT INTO t (id, at, name) SELECT number, now(), 'x' FROM numbers(1000)",
		"OPTIMIZE TABLE t FINAL",
		"RENAME TABLE t TO t2",
		"EXCHANGE TABLES t2 AND r",
		"CREATE OR REPLACE TABLE o (x UInt8) ENGINE = Memory",
		"CREATE OR REPLACE TABLE o (y UInt8) ENGINE = MergeTree ORDER BY y",
		"TRUNCATE TABLE r",
		"DROP VIEW mv",
	} {
		run(t, conn, sql)
	}
	var name, kind string
	rows, err := conn.Query(context.Background(), "DESCRIBE TABLE o")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ignore string
	for rows.Next() {
		if err := rows.Scan(&name, &kind, &ignore, &ignore, &ignore, &ignore, &ignore); err != nil {
			t.Fatal(err)
		}
	}
	if name != "y" || kind != "UInt8" {
		t.Errorf("%s %s", name, kind)
	}
	if plan := one[string](t, conn, "EXPLAIN SELECT 1"); plan == "" {
		t.Error("no plan")
	}
	if s := one[string](t, conn, "SHOW CREATE TABLE o"); !strings.Contains(s, "MergeTree") {
		t.Errorf("%q", s)
	}
}

// Nothing in a client depends on the child: with an address instead of a socket, all is as before. Here the address is a
// TCP port before the same engine; enginetest takes that of a real server in the same way.
func TestByAddressAlone(t *testing.T) {
	e := enginetest.Start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(e, c)
		}
	}()
	t.Setenv(enginetest.AddressEnv, l.Addr().String())
	o := enginetest.Options(t)
	if o.DialContext != nil || o.Addr[0] != l.Addr().String() {
		t.Fatalf("%+v", o)
	}
	conn := connect(t, o)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	data := native(t, sequence(0, 1000), func(id uint64) string { return fmt.Sprint(id) })
	if err := conn.InsertFormat(context.Background(), "Native", "INSERT INTO t", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t WHERE toString(id) = name"); n != 1000 {
		t.Errorf("%d rows", n)
	}
}

func relay(e *engine.Engine, c net.Conn) {
	defer c.Close()
	to, err := e.Dial(context.Background())
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, c); _ = to.Close() }()
	_, _ = io.Copy(c, to)
}
