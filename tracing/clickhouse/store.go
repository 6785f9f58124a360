package clickhouse

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Store is the trail in one ClickHouse database. It implements trail.Reader and trail.Writer.
type Store struct {
	o          Options
	conn       driver.Conn
	migrations []migration
	views      migration
	progress   atomic.Pointer[progress]

	migrating sync.Mutex // held while the schema is made; taken before mu

	mu struct {
		sync.Mutex
		ready  bool // the schema is there
		health health
		asking bool // a ping is on its way
	}
}

// Sizes of the pool. The shipper needs one connection, the console a few.
const (
	connsMax      = 12
	connsIdle     = 4
	dialTimeout   = 5 * time.Second
	queryTimeout  = 10 * time.Second
	insertTimeout = 60 * time.Second
	ddlTimeout    = 2 * time.Minute
)

// Open checks the options and returns at once: the server need not be up. Migrations run at the first use that finds it.
func Open(_ context.Context, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{o: o}
	if s.views, err = views(&o); err != nil {
		return nil, err
	}
	if s.migrations, err = migrations(&o); err != nil {
		return nil, err
	}
	options := &clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{o.Addr}, Auth: clickhouse.Auth{Database: "default", Username: o.User, Password: o.Password},
		MaxOpenConns: connsMax, MaxIdleConns: connsIdle, DialTimeout: dialTimeout, ReadTimeout: ddlTimeout,
	}
	if o.Secure {
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) { return counting{t}, nil }
	if o.Dial != nil {
		options.DialContext = func(ctx context.Context, _ string) (net.Conn, error) { return o.Dial(ctx) }
	}
	if s.conn, err = clickhouse.Open(options); err != nil {
		return nil, fmt.Errorf("trail store: %w", err)
	}
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Ready runs the migrations when they have not run yet.
func (s *Store) Ready(ctx context.Context) error {
	if s.isReady() {
		return nil
	}
	s.migrating.Lock()
	defer s.migrating.Unlock()
	if s.isReady() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ddlTimeout)
	defer cancel()
	if err := s.migrate(ctx); err != nil {
		return fmt.Errorf("trail store: %w", err)
	}
	s.setReady(true)
	return nil
}

func (s *Store) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.ready
}

func (s *Store) setReady(ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.ready = ready
}

// lost forgets that the schema is there when the server says that it is not: an engine's data may have been replaced.
func (s *Store) lost(err error) {
	var e *clickhouse.Exception
	if !errors.As(err, &e) || (e.Code != codeUnknownTable && e.Code != codeUnknownDatabase) {
		return
	}
	s.setReady(false)
}

// Codes of ClickHouse's errors.
const (
	codeUnknownTable    = 60
	codeTableExists     = 57
	codeUnknownDatabase = 81
	codeTimeout         = 159
	codeTooManyRows     = 158
	codeTooManyBytes    = 307
	codeMemory          = 241
)

// limits are the settings of one query of the console. A query that reaches one is refused by the server with an error.
func limits() clickhouse.Settings {
	return clickhouse.Settings{
		"max_execution_time": int(queryTimeout.Seconds()), "max_memory_usage": queryMemory, "max_result_rows": queryRows,
		"max_threads": 2, "result_overflow_mode": "throw", "timeout_overflow_mode": "throw", "wait_end_of_query": 1,
		"query_plan_max_limit_for_lazy_materialization": 1000,
	}
}

// Limits of one query.
const (
	queryMemory = 400 << 20
	queryRows   = 100_000
)

// usage is what queries read; those of one context add up.
type usage struct{ rows, bytes atomic.Uint64 }

type usageKey struct{}

// counting is the transport: it reads what the server says a query cost.
type counting struct{ http.RoundTripper }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	if u, ok := r.Context().Value(usageKey{}).(*usage); ok && err == nil {
		var sum struct {
			Rows  string `json:"read_rows"`
			Bytes string `json:"read_bytes"`
		}
		if json.Unmarshal([]byte(answer.Header.Get("X-ClickHouse-Summary")), &sum) == nil {
			rows, _ := strconv.ParseUint(sum.Rows, 10, 64)
			bytes, _ := strconv.ParseUint(sum.Bytes, 10, 64)
			u.rows.Add(rows)
			u.bytes.Add(bytes)
		}
	}
	return answer, err
}

// arg binds a parameter of a query.
func arg(name string, value any) any { return clickhouse.Named(name, value) }

// query asks, and calls f for each row of the answer. The answer is whole or an error is returned.
func (s *Store) query(ctx context.Context, f func(driver.Rows) error, sql string, args ...any) error {
	if err := s.Ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout+time.Second)
	defer cancel()
	rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(limits())), sql, args...)
	if err != nil {
		s.lost(err)
		return fmt.Errorf("trail store: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return fmt.Errorf("trail store: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("trail store: %w", err)
	}
	return nil
}

// reason says in a sentence why a query failed.
func reason(err error) string {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		switch e.Code {
		case codeTimeout:
			return fmt.Sprintf("the store did not answer within %s: narrow the time or add a filter", queryTimeout)
		case codeMemory, codeTooManyRows, codeTooManyBytes:
			return fmt.Sprintf("the query needs more than its limit of %d MiB or %d rows: narrow the time or add a filter", queryMemory>>20, queryRows)
		}
	}
	return err.Error()
}
