package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Migrations take turns by a table: CREATE TABLE without IF NOT EXISTS succeeds for one only. All statements may be run
// twice, so a lock that a dead process left may be taken over.
const (
	lockTable  = "migrating"
	lockStale  = 2 * ddlTimeout
	lockRetry  = 200 * time.Millisecond
	migratedBy = "migrations"
)

func (s *Store) exec(ctx context.Context, format string, args ...any) error {
	return s.conn.Exec(ctx, fmt.Sprintf(format, args...))
}

// migrate brings the schema up to date.
func (s *Store) migrate(ctx context.Context) error {
	onCluster, engine := "", "ReplacingMergeTree"
	if s.o.Cluster != "" {
		onCluster, engine = "ON CLUSTER "+s.o.Cluster, "ReplicatedReplacingMergeTree"
	}
	if err := s.exec(ctx, "CREATE DATABASE IF NOT EXISTS %s %s", s.o.Database, onCluster); err != nil {
		return err
	}
	if err := s.exec(ctx, "CREATE TABLE IF NOT EXISTS %s.%s %s (number UInt32, name String, sum String, at DateTime) ENGINE = %s ORDER BY number",
		s.o.Database, migratedBy, onCluster, engine); err != nil {
		return err
	}
	applied, err := s.applied(ctx)
	if err != nil {
		return err
	}
	if err := s.check(applied); err != nil {
		return err
	}
	if len(s.missing(applied)) > 0 {
		if err := s.locked(ctx, onCluster, s.apply); err != nil {
			return err
		}
	}
	return s.keepFor(ctx, onCluster)
}

// applied gives the sums of the migrations that were run, by number.
func (s *Store) applied(ctx context.Context) (map[int]string, error) {
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT number, argMax(sum, at) FROM %s.%s GROUP BY number", s.o.Database, migratedBy))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sums := map[int]string{}
	for rows.Next() {
		var n uint32
		var sum string
		if err := rows.Scan(&n, &sum); err != nil {
			return nil, err
		}
		sums[int(n)] = sum
	}
	return sums, rows.Err()
}

// check refuses a database that another version made.
func (s *Store) check(applied map[int]string) error {
	for n := range applied {
		if n > len(s.migrations) {
			return fmt.Errorf("database %s has migration %d, this version knows %d: it belongs to a newer version", s.o.Database, n, len(s.migrations))
		}
	}
	for _, m := range s.migrations {
		if sum, ok := applied[m.number]; ok && sum != m.sum && sum != earlier[m.number] {
			return fmt.Errorf("migration %s was changed after database %s got it: %s, now %s", m.name, s.o.Database, sum, m.sum)
		}
	}
	return nil
}

// missing are the migrations that a database does not have, and behind them the views when they are others.
func (s *Store) missing(applied map[int]string) (out []migration) {
	for _, m := range s.migrations {
		if _, ok := applied[m.number]; !ok {
			out = append(out, m)
		}
	}
	if applied[viewsNumber] != s.views.sum {
		out = append(out, s.views)
	}
	return out
}

// apply runs what is missing.
func (s *Store) apply(ctx context.Context) error {
	applied, err := s.applied(ctx) // again: somebody may have been faster
	if err != nil {
		return err
	}
	for _, m := range s.missing(applied) {
		for _, statement := range m.statements {
			if err := s.conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
		}
		insert := fmt.Sprintf("INSERT INTO %s.%s SELECT {number:UInt32}, {name:String}, {sum:String}, now()", s.o.Database, migratedBy)
		if err := s.conn.Exec(ctx, insert, arg("number", m.number), arg("name", m.name), arg("sum", m.sum)); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
		s.o.Log.Info("trail store migrated", "database", s.o.Database, "migration", m.name)
	}
	return nil
}

// locked runs f while no other process does. In a store that is ours alone a lock is a dead process's.
func (s *Store) locked(ctx context.Context, onCluster string, f func(context.Context) error) error {
	if s.o.Alone {
		return f(ctx)
	}
	for {
		err := s.exec(ctx, "CREATE TABLE %s.%s %s (at DateTime) ENGINE = Memory", s.o.Database, lockTable, onCluster)
		if err == nil {
			break
		}
		var e *clickhouse.Exception
		if !errors.As(err, &e) || e.Code != codeTableExists {
			return err
		}
		if err := s.waitForLock(ctx, onCluster); err != nil {
			return err
		}
	}
	err := f(ctx)
	return errors.Join(err, s.exec(ctx, "DROP TABLE IF EXISTS %s.%s %s", s.o.Database, lockTable, onCluster))
}

// waitForLock waits a moment; it removes a lock whose holder must be dead.
func (s *Store) waitForLock(ctx context.Context, onCluster string) error {
	var age uint64
	row := s.conn.QueryRow(ctx,
		"SELECT toUInt64(ifNull(max(dateDiff('second', metadata_modification_time, now())), 0)) FROM system.tables WHERE database = {db:String} AND name = {name:String}",
		arg("db", s.o.Database), arg("name", lockTable))
	if err := row.Scan(&age); err != nil {
		return err
	}
	if time.Duration(age)*time.Second > lockStale {
		s.o.Log.Warn("a dead process held the lock of the trail store's migrations", "seconds", age)
		return s.exec(ctx, "DROP TABLE IF EXISTS %s.%s %s", s.o.Database, lockTable, onCluster)
	}
	select {
	case <-time.After(lockRetry):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("another process migrates database %s: %w", s.o.Database, ctx.Err())
	}
}

// aging are the tables whose rows go by age, with the column that says it.
var aging = []struct {
	table, column string
	long          bool
}{
	{"messages", "appended", false}, {"deliveries", "sent", false}, {"settlements", "at", false}, {"steps", "recorded", false},
	{"happenings", "at", false}, {"ship_log", "at", true}, {"rollup_minute", "minute", true},
}

// keepFor gives the tables the age that the options say: it may have changed since they were made.
func (s *Store) keepFor(ctx context.Context, onCluster string) error {
	rows, err := s.conn.Query(ctx, "SELECT name, engine_full FROM system.tables WHERE database = {db:String}", arg("db", s.o.Database))
	if err != nil {
		return err
	}
	defer rows.Close()
	full := map[string]string{}
	for rows.Next() {
		var name, engine string
		if err := rows.Scan(&name, &engine); err != nil {
			return err
		}
		full[name] = engine
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, a := range aging {
		want := ttl(a.column, &s.o, a.long)
		if strings.Contains(full[a.table], want+" ") {
			continue
		}
		later := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"materialize_ttl_after_modify": 0}))
		if err := s.exec(later, "ALTER TABLE %s.%s %s MODIFY TTL %s", s.o.Database, a.table, onCluster, want); err != nil {
			return fmt.Errorf("keep rows of %s for %s: %w", a.table, s.o.KeepFor, err)
		}
		s.o.Log.Info("trail store keeps rows for another time", "table", a.table, "ttl", want)
	}
	return nil
}
