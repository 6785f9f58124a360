package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

// inserter is what is used of clickhouse-go's connection for writing; InsertFormat is experimental there.
type inserter interface {
	InsertFormat(ctx context.Context, format string, query string, data io.Reader) error
}

// NewBlock implements trail.Writer.
func (s *Store) NewBlock() trail.Block { return NewBlock() }

// Write writes a block's rows, one insert per table, all at the same time. A token that was written before makes it succeed without effect,
// table by table: a write that broke off between two tables is completed by doing it again.
func (s *Store) Write(ctx context.Context, token string, b trail.Block) error {
	block, ok := b.(*Block)
	if !ok {
		return fmt.Errorf("trail store: a block of type %T is not one of NewBlock", b)
	}
	if err := s.Ready(ctx); err != nil {
		return err
	}
	var all []func(context.Context) error
	for _, t := range block.tables {
		if t.rows > 0 {
			all = append(all, func(ctx context.Context) error { return s.insert(ctx, token, t) })
		}
	}
	return together(ctx, all)
}

// Record adds rows to ship_log.
func (s *Store) Record(ctx context.Context, token string, blocks []trail.Shipped) error {
	t := newShipped()
	for i := range blocks {
		t.add(&blocks[i], token)
	}
	if t.rows == 0 {
		return nil
	}
	return s.insert(ctx, token, &t.table)
}

// Recorded implements trail.Writer.
func (s *Store) Recorded(ctx context.Context, token string) (bool, error) {
	var n uint64
	err := s.query(ctx, func(rows driver.Rows) error { return rows.Scan(&n) },
		fmt.Sprintf("SELECT count() FROM %s.ship_log WHERE block = {block:String}", s.o.Database), arg("block", token))
	return n > 0, err
}

func (s *Store) insert(ctx context.Context, token string, t *table) error {
	if err := s.Ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token": token + "/" + t.name, "insert_deduplicate": 1, "async_insert": 0,
		"deduplicate_blocks_in_dependent_materialized_views": 1, "max_execution_time": int(insertTimeout / time.Second),
		// Compiling the rollups' expressions for each small block costs the server more than running them.
		"compile_expressions": 0, "compile_aggregate_expressions": 0, "compile_sort_description": 0,
		"max_insert_block_size": insertRowsMax, "min_insert_block_size_rows": insertRowsMax, "min_insert_block_size_bytes": 0,
	}))
	body := t.body()
	var to inserter = s.conn
	err := to.InsertFormat(ctx, "Native", fmt.Sprintf("INSERT INTO %s.%s (%s)", s.o.Database, t.name, t.columns()), &body)
	if err != nil {
		s.lost(err)
		return fmt.Errorf("trail store: insert %d rows into %s: %w", t.rows, t.name, errors.Join(err, ctx.Err()))
	}
	return nil
}

// insertRowsMax keeps a block together: a token covers a whole insert, whatever the server would split it into.
const insertRowsMax = 1 << 20
