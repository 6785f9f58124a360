package engine_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

func open(t *testing.T, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	o := enginetest.Options(t)
	if change != nil {
		change(o)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func exec(t *testing.T, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestExecSelectInsertFormat(t *testing.T) {
	ctx := context.Background()
	conn := open(t, nil)
	exec(t, conn, "CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	exec(t, conn, "INSERT INTO t VALUES (1, 'one'), (2, 'two')")

	var ids proto.ColUInt64
	var names proto.ColStr
	ids.Append(3)
	names.Append("three\n\nwith an empty line")
	var b proto.Buffer
	block := proto.Block{Columns: 2, Rows: 1}
	if err := block.EncodeRawBlock(&b, 0, []proto.InputColumn{{Name: "id", Data: ids}, {Name: "name", Data: names}}); err != nil {
		t.Fatal(err)
	}
	if err := conn.InsertFormat(ctx, "Native", "INSERT INTO t (id, name)", bytes.NewReader(b.Buf)); err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ID   uint64 `ch:"id"`
		Name string `ch:"name"`
	}
	if err := conn.Select(ctx, &rows, "SELECT id, name FROM t ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[2].Name != "three\n\nwith an empty line" {
		t.Fatalf("%+v", rows)
	}
}
