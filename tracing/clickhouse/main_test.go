package clickhouse

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// testOptions are those of a store in a database of its own. KeepFor is long: rows of tests have round times.
func testOptions(t testing.TB) Options {
	t.Helper()
	c := enginetest.Options(t)
	o := Options{Addr: c.Addr[0], Database: c.Auth.Database, User: c.Auth.Username, Password: c.Auth.Password, KeepFor: 20_000 * 24 * time.Hour,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if c.DialContext != nil {
		o.Dial = func(ctx context.Context) (net.Conn, error) { return c.DialContext(ctx, "") }
	}
	return o
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// write stores rows that f adds.
func write(t testing.TB, s *Store, token string, f func(trail.Sink)) {
	t.Helper()
	b := s.NewBlock()
	f(b)
	if err := s.Write(context.Background(), token, b); err != nil {
		t.Fatal(err)
	}
}

// count gives what a query counts.
func count(t testing.TB, s *Store, sql string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := s.conn.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
