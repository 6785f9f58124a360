package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// What chDB does differently from a server, and would surprise: each has its test here.

// within fails a test whose statement hangs, instead of hanging with it.
func within(t *testing.T, d time.Duration, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(d):
		t.Fatalf("%s hangs", what)
	}
}

// DROP … SYNC waits for a queue that the embedded engine does not run.
func TestDropSyncDoesNotHang(t *testing.T) {
	conn := open(t, nil)
	ctx := context.Background()
	for _, drop := range []string{"DROP TABLE t SYNC", "drop table t sync;", "DROP TABLE IF EXISTS t NO DELAY -- now", "DETACH TABLE t SYNC"} {
		within(t, 20*time.Second, drop, func() error {
			if err := conn.Exec(ctx, "CREATE OR REPLACE TABLE t (x UInt8) ENGINE = MergeTree ORDER BY x"); err != nil {
				return err
			}
			if err := conn.Exec(ctx, "INSERT INTO t VALUES (1)"); err != nil {
				return err
			}
			return conn.Exec(ctx, drop)
		})
		if strings.HasPrefix(drop, "DETACH") {
			continue
		}
		wantCode(t, conn.Exec(ctx, "SELECT * FROM t"), 60)
	}
	within(t, 20*time.Second, "the setting of the same", func() error {
		return conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"database_atomic_wait_for_drop_and_detach_synchronously": 1})),
			"DROP TABLE IF EXISTS t2")
	})
}

// Rows with an empty line inside must arrive whole: in the query text they would be cut there.
func TestEmptyLinesInRows(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	var data []byte
	for block := range uint64(20) { // \n\n at the start of a block too: 10 is its number of columns, or rows
		data = append(data, native(t, sequence(block*10, 10), func(id uint64) string { return strings.Repeat("\n", int(id)) + "x" })...)
	}
	if err := conn.InsertFormat(context.Background(), "Native", "INSERT INTO t", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if n := one[uint64](t, conn, "SELECT countIf(name = repeat('\n', id) || 'x') FROM t"); n != 200 {
		t.Fatalf("%d of 200 rows are right", n)
	}
}

// brokenBody gives some bytes, then fails.
type brokenBody struct {
	rest []byte
	err  error
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// A body that breaks off must leave no row, wherever it broke off.
func TestBrokenBodyLeavesNothing(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	block := native(t, sequence(0, 1000), func(id uint64) string { return fmt.Sprint(id) })
	text := []byte("{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"b\"}\n")
	for name, c := range map[string]struct {
		format string
		data   []byte
	}{
		"at a block's end":  {"Native", block},
		"between blocks":    {"Native", append(append([]byte{}, block...), block...)},
		"inside a block":    {"Native", block[:len(block)/2]},
		"before the first":  {"Native", nil},
		"at a line's end":   {"JSONEachRow", text},
		"inside a line":     {"JSONEachRow", text[:25]},
		"many large blocks": {"Native", bytes.Repeat(block, 500)},
	} {
		t.Run(name, func(t *testing.T) {
			err := conn.InsertFormat(context.Background(), c.format, "INSERT INTO t", &brokenBody{append([]byte{}, c.data...), io.ErrUnexpectedEOF})
			if err == nil {
				t.Fatal("acknowledged")
			}
			idle(t, conn)
			if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
				t.Fatalf("%d rows", n)
			}
		})
	}
	if err := conn.InsertFormat(context.Background(), "Native", "INSERT INTO t", bytes.NewReader(block)); err != nil {
		t.Fatalf("after broken ones: %v", err)
	}
}

// Compressed rows that end inside a frame are not whole, wherever it is: behind its header too. The HTTP body itself ends well.
func TestCutFramesLeaveNothing(t *testing.T) {
	o := enginetest.Options(t)
	conn := connect(t, o)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	block := native(t, sequence(0, 1000), func(id uint64) string { return fmt.Sprint(id) })
	frames := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := frames.Compress(block); err != nil {
		t.Fatal(err)
	}
	frame := bytes.Clone(frames.Data)
	query := "/?decompress=1&database=" + o.Auth.Database + "&query=" + url.QueryEscape("INSERT INTO t FORMAT Native")
	for _, cut := range []int{1, 15, 16, 24, 25, 26, len(frame) / 2, len(frame) - 1} {
		resp, body := raw(t, "POST", query, string(frame)+string(frame[:cut]))
		if resp.StatusCode == 200 || resp.Header.Get("X-ClickHouse-Exception-Code") != "210" {
			t.Errorf("cut after %d of %d bytes: %s %s", cut, len(frame), resp.Status, body)
		}
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows", n)
	}
	if resp, body := raw(t, "POST", query, string(frame)+string(frame)); resp.StatusCode != 200 {
		t.Errorf("whole: %s %s", resp.Status, body)
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 2000 {
		t.Errorf("%d rows", n)
	}
}

// A refused INSERT with a large body gets its error, not a broken connection.
func TestRefusedInsertOfALargeBody(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, other String) ENGINE = MergeTree ORDER BY id")
	block := native(t, sequence(0, 1000), func(id uint64) string { return strings.Repeat("x", 1000) })
	for range 3 {
		err := conn.InsertFormat(context.Background(), "Native", "INSERT INTO nothing_here", bytes.NewReader(bytes.Repeat(block, 20)))
		wantCode(t, err, 60)
		err = conn.InsertFormat(context.Background(), "Native", "INSERT INTO t (id, missing)", bytes.NewReader(bytes.Repeat(block, 20)))
		wantCode(t, err, 16)
	}
}

// idle waits until no statement but the asking one runs.
func idle(t *testing.T, conn driver.Conn) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var left []string
		if err := conn.Select(context.Background(), &[]struct{}{}, "SELECT 1 WHERE 0"); err != nil {
			t.Fatal(err)
		}
		rows, err := conn.Query(context.Background(), "SELECT query FROM system.processes WHERE query NOT LIKE '%system.processes%'")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var q string
			if err := rows.Scan(&q); err != nil {
				t.Fatal(err)
			}
			left = append(left, q)
		}
		_ = rows.Close()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running: %q", left)
		}
		time.Sleep(20 * time.Millisecond) // polls a condition of another process
	}
}

// A statement whose client is gone ends, of whatever kind it is: else it would keep a core busy for ever.
func TestAbandonedStatementsEnd(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	for name, sql := range map[string]string{
		"aggregation":        "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)",
		"stream":             "SELECT number FROM numbers(1000000000000) WHERE sipHash64(number) % 100 = 0",
		"insert from select": "INSERT INTO t SELECT number, 'x' FROM numbers(1000000000000) WHERE sipHash64(number) % 10000000 = 0",
		"whole answer":       "(SELECT sum(sipHash64(number)) FROM numbers(1000000000000)) UNION ALL (SELECT 1)",
		"create from select": "CREATE TABLE t2 ENGINE = Memory AS SELECT number FROM numbers(1000000000000) WHERE sipHash64(number) % 10000000 = 0",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- conn.Exec(ctx, sql) }()
			running(t, conn, sql[:20])
			cancel()
			if err := <-ended; err == nil && name != "stream" {
				t.Error("no error")
			}
			idle(t, conn)
		})
	}
}

// running waits until a statement that begins so runs.
func running(t *testing.T, conn driver.Conn, prefix string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for one[uint64](t, conn, "SELECT count() FROM system.processes WHERE startsWith(query, ?)", prefix) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%s… does not run", prefix)
		}
		time.Sleep(10 * time.Millisecond) // polls a condition of another process
	}
}

// More queries than sessions wait for one, and all get their answers.
func TestMoreQueriesThanSessions(t *testing.T) {
	o := enginetest.Options(t)
	o.MaxOpenConns = 30
	conn := connect(t, o)
	errs := make(chan error, 30)
	for range 30 {
		go func() {
			var n uint64
			err := conn.QueryRow(context.Background(), "SELECT count() FROM numbers(1000) WHERE sleepEachRow(0.0001) = 0").Scan(&n)
			if err == nil && n != 1000 {
				err = fmt.Errorf("%d", n)
			}
			errs <- err
		}()
	}
	for range 30 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// readOnly gives a client of the read-only socket, on the database of the writing client.
func readOnly(t *testing.T, o *clickhouse.Options) driver.Conn {
	t.Helper()
	e := enginetest.Start(t)
	ro := *o
	ro.DialContext = func(ctx context.Context, _ string) (net.Conn, error) { return e.DialReadOnly(ctx) }
	return connect(t, &ro)
}

func TestReadOnlySocketOnlyReads(t *testing.T) {
	o := enginetest.Options(t)
	conn, ro := connect(t, o), readOnly(t, o)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO t VALUES (1, 'one')")
	if s := one[string](t, ro, "SELECT name FROM t WHERE id = ?", 1); s != "one" {
		t.Errorf("%q", s)
	}
	for _, sql := range []string{"SHOW TABLES", "DESCRIBE t", "EXPLAIN SELECT * FROM t", "(SELECT 1) UNION ALL (SELECT 2)", "WITH 1 AS x SELECT x"} {
		run(t, ro, sql)
	}
	out := filepath.Join(t.TempDir(), "out")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO t VALUES (2, 'two')", "CREATE TABLE x (y UInt8) ENGINE = Memory", "CREATE TEMPORARY TABLE x (y UInt8)", "DROP TABLE t", "TRUNCATE TABLE t",
		"ALTER TABLE t DELETE WHERE 1", "OPTIMIZE TABLE t", "SET readonly = 0", "SET max_threads = 8", "SYSTEM STOP MERGES", "KILL QUERY WHERE 1",
		"SELECT 1 SETTINGS readonly = 0", "SELECT 1 SETTINGS max_memory_usage = 0", "SELECT 1 SETTINGS max_execution_time = 0",
		"SELECT * FROM file('" + file + "', 'LineAsString')", "SELECT file('" + file + "')", "SELECT * FROM url('http://localhost:1/', 'LineAsString')",
		"SELECT * FROM remote('localhost:1', system.one)", "SELECT * FROM executable('id', 'TSV', 'x String')", "SELECT * FROM t INTO OUTFILE '" + out + "'",
		"SELECT * FROM (SELECT * FROM t) INTO OUTFILE '" + out + "' FORMAT CSV", "EXPLAIN SELECT 1 INTO OUTFILE '" + out + "'", "SHOW TABLES INTO OUTFILE '" + out + "'",
		"INSERT INTO FUNCTION file('" + out + "', 'CSV') SELECT 1", "SELECT * FROM '" + file + "'", "SELECT * FROM `" + file + "`",
		"DESCRIBE file('" + file + "', 'LineAsString')", "EXPLAIN SELECT * FROM file('" + file + "', 'LineAsString')", "BACKUP TABLE t TO File('" + out + "')",
		"SELECT * FROM s3('http://localhost:1/x', 'CSV', 'x String')", "SELECT * FROM mysql('localhost:1', 'a', 'b', 'c', 'd')", "SELECT * FROM sqlite('" + file + "', 't')",
		"SELECT 1; DROP TABLE t", "SELECT File('" + file + "')", "SELECT `file`('" + file + "')", "SELECT file /* x */ ('" + file + "')",
		"WITH (SELECT file('" + file + "')) AS x SELECT x", "DESCRIBE (SELECT * FROM file('" + file + "', 'LineAsString'))", "DESC TABLE file('" + file + "')",
		"SELECT \u2018'\u2019, file('" + file + "') -- '", "SELECT 1 AS a$b$, file('" + file + "') AS x$b$", "EXPLAIN AST SELECT file('" + file + "')",
	} {
		if err := ro.Exec(context.Background(), sql); err == nil {
			t.Errorf("%s: allowed", sql)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestReadOnlySocketHasLimits(t *testing.T) {
	o := enginetest.Options(t)
	ro := readOnly(t, o)
	const ask = "SELECT toString(getSetting('max_execution_time')) || ' ' || toString(getSetting('max_memory_usage')) || ' ' || toString(getSetting('max_result_rows'))"
	raised := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{
		"max_execution_time": 0, "max_memory_usage": uint64(1) << 60, "max_result_rows": "none", "readonly": 0}))
	lowered := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 2, "max_memory_usage": 1 << 20, "max_result_rows": 7}))
	for ctx, want := range map[context.Context]string{
		context.Background(): "30 402653184 1000000", raised: "30 402653184 1000000", lowered: "2 1048576 7",
	} {
		var got string
		if err := ro.QueryRow(ctx, ask).Scan(&got); err != nil || got != want {
			t.Errorf("limits %q, want %q, %v", got, want, err)
		}
	}
	wantCode(t, ro.Exec(context.Background(), "SELECT count() FROM (SELECT groupArray(toString(number)) FROM numbers(100000000))"), 241)
	wantCode(t, ro.Exec(clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"allow_ddl": 1})), "SELECT 1"), 164)
}

// The child cannot read files that are not its own, nor call anybody, whatever the statement: not even on the writing socket.
func TestChildIsConfined(t *testing.T) {
	conn := open(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan struct{})
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
			close(called)
		}
	}()
	defer l.Close()
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"http_max_tries": 1}))
	for _, sql := range []string{
		"SELECT * FROM file('" + file + "', 'LineAsString')", "SELECT file('" + file + "')", "SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"SELECT * FROM url('http://" + l.Addr().String() + "/', 'LineAsString')", "INSERT INTO FUNCTION file('" + file + "2', 'CSV') SELECT 1",
		"SELECT * FROM file('/proc/" + strconv.Itoa(os.Getpid()) + "/environ', 'RawBLOB', 'x String')",
	} {
		within(t, 20*time.Second, sql, func() error {
			if err := conn.Exec(ctx, sql); err == nil {
				return errors.New("allowed")
			}
			return nil
		})
	}
	select {
	case <-called:
		t.Error("the engine called a TCP address")
	default:
	}
	env, err := os.ReadFile("/proc/" + strconv.Itoa(enginetest.Start(t).Pid()) + "/environ")
	if err != nil || bytes.Contains(env, []byte("HOME=")) || !bytes.Contains(env, []byte("CONTRAIL_ENGINE_CONFINED=yes")) {
		t.Errorf("%q, %v", env, err)
	}
}

// raw sends one request by hand and gives status, headers and body.
func raw(t *testing.T, method, query, body string, header ...string) (*http.Response, string) {
	t.Helper()
	e := enginetest.Start(t)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx) },
	}}
	req, err := http.NewRequest(method, "http://localhost"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// Clients other than clickhouse-go: curl, Grafana's proxy, a health check.
func TestPlainHTTP(t *testing.T) {
	for _, c := range []struct{ method, query, body, want string }{
		{"GET", "/ping", "", "Ok.\n"},
		{"GET", "/?query=SELECT+1", "", "1\n"},
		{"POST", "/", "SELECT 1 AS x FORMAT JSONEachRow", "{\"x\":1}\n"},
		{"POST", "/?query=SELECT+", "2", "2\n"},
		{"POST", "/?default_format=CSV&param_x=a", "SELECT {x:String}", "\"a\"\n"},
		{"POST", "/?user=default&password=&session_id=1", "SELECT 3", "3\n"},
	} {
		resp, body := raw(t, c.method, c.query, c.body)
		if resp.StatusCode != 200 || body != c.want {
			t.Errorf("%s %s %q: %s %q", c.method, c.query, c.body, resp.Status, body)
		}
	}
	resp, body := raw(t, "POST", "/", "SELECT 1 FROM nothing_here")
	if resp.StatusCode != 404 || resp.Header.Get("X-ClickHouse-Exception-Code") != "60" || !strings.HasPrefix(body, "Code: 60. DB::Exception: ") {
		t.Errorf("%s %v %q", resp.Status, resp.Header, body)
	}
	if resp, _ := raw(t, "PUT", "/", "SELECT 1"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %s", resp.Status)
	}
	if resp, _ := raw(t, "GET", "/nothing", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/nothing: %s", resp.Status)
	}
	resp, _ = raw(t, "POST", "/?query_id=mine", "SELECT 1 AS x FORMAT JSON")
	for name, want := range map[string]string{"X-ClickHouse-Query-Id": "mine", "X-ClickHouse-Format": "JSON", "Content-Type": "application/json; charset=UTF-8"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if resp.Header.Get("X-ClickHouse-Timezone") == "" {
		t.Error("no time zone")
	}
}

// The rows of an INSERT may follow its text in the body, as curl sends them.
func TestInsertWithInlineRows(t *testing.T) {
	o := enginetest.Options(t)
	conn := connect(t, o)
	run(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	database := "/?database=" + url.QueryEscape(o.Auth.Database)
	for _, body := range []string{
		"INSERT INTO t FORMAT JSONEachRow {\"id\":1,\"name\":\"; SELECT\\n\\n\"}\n{\"id\":2,\"name\":\"b\"}",
		"INSERT INTO t (id, name) FORMAT CSV\n3,\"c\n\nd\"\n",
		"INSERT INTO t (id, name) VALUES (4, 'VALUES; FORMAT x'), (5, 'SYNC')",
		"INSERT INTO t SELECT 6, 'format' AS FORMAT",
		"INSERT INTO t SETTINGS async_insert = 0 FORMAT Native\n" + string(native(t, []uint64{7}, func(uint64) string { return "\n\n" })),
	} {
		if resp, text := raw(t, "POST", database, body); resp.StatusCode != 200 {
			t.Errorf("%.40q: %s %s", body, resp.Status, text)
		}
	}
	if n := one[uint64](t, conn, "SELECT count() FROM t"); n != 7 {
		t.Errorf("%d rows", n)
	}
}

// A client that stops reading must not hold a session for ever, and one that goes away in the middle frees it at once.
func TestClientThatLeavesMidStream(t *testing.T) {
	conn := open(t, nil)
	e := enginetest.Start(t)
	c, err := e.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /?query=%s HTTP/1.1\r\nHost: x\r\n\r\n", url.QueryEscape("SELECT number FROM numbers(100000000000)")); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	idle(t, conn)
}
