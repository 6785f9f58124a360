package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// Rows per second through the whole path: client, socket, front, pipe, engine, disk. State: two narrow columns, MergeTree,
// blocks of 100,000 rows encoded beforehand.
func BenchmarkInsertNative(b *testing.B) {
	e := enginetest.New(b, b.TempDir())
	conn := connect(b, enginetest.Client(e))
	run(b, conn, "CREATE DATABASE d")
	run(b, conn, "CREATE TABLE d.t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
	const rows = 100_000
	data := native(b, sequence(0, rows), func(id uint64) string { return fmt.Sprint("message ", id) })
	b.SetBytes(int64(len(data)))
	b.ResetTimer()
	for b.Loop() {
		if err := conn.InsertFormat(context.Background(), "Native", "INSERT INTO d.t", bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSelectOne(b *testing.B) {
	conn := connect(b, enginetest.Client(enginetest.Start(b)))
	for b.Loop() {
		var v uint8
		if err := conn.QueryRow(context.Background(), "SELECT 1").Scan(&v); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSelectRows reads 1,000,000 rows of two columns.
func BenchmarkSelectRows(b *testing.B) {
	conn := connect(b, enginetest.Client(enginetest.Start(b)))
	for b.Loop() {
		rows, err := conn.Query(context.Background(), "SELECT number, toString(number) FROM numbers(1000000)")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Err() != nil || n != 1_000_000 {
			b.Fatal(n, rows.Err())
		}
	}
}
