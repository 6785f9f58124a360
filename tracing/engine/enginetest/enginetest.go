// Package enginetest gives tests a running engine: the real one, in a child process of the test binary.
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
//	func TestX(t *testing.T) {
//		conn, err := clickhouse.Open(enginetest.Options(t))
//
// One engine serves all tests of a process; each call of Options gives a database of its own. With -short, tests that need
// the engine are skipped; without, a library that cannot be had fails them.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/contrailmq/contrail/tracing/engine"
)

// AddressEnv names a ClickHouse server (host:port of its HTTP interface) to test against instead of the embedded engine.
const AddressEnv = "CONTRAIL_TEST_CLICKHOUSE"

// memoryBytes is the cap of a test's engine: two cores and a few tests at a time need no more.
const memoryBytes = 768 << 20

// fetchTimeout bounds the first test run of a machine, which downloads the library.
const fetchTimeout = 9 * time.Minute

// Main runs the tests. In the child process it runs the engine instead.
func Main(m *testing.M) {
	Child()
	code := m.Run()
	if shared.engine != nil {
		_ = shared.engine.Close()
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// Child runs the engine and ends the process if this process was started as an engine; else it returns. For a TestMain
// that does more than Main.
func Child() {
	o, ok, err := engine.ChildOptionsFromEnv()
	if !ok {
		return
	}
	if err == nil {
		err = engine.RunChild(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var shared struct {
	once   sync.Once
	engine *engine.Engine
	dir    string
	err    error
}

var databases atomic.Int64

// Start gives the engine of this test process, started at the first call.
func Start(t testing.TB) *engine.Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	shared.once.Do(func() {
		shared.dir, shared.err = os.MkdirTemp("", "engine")
		if shared.err == nil {
			shared.engine, shared.err = launch(shared.dir)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.engine
}

// New starts an engine for one test alone, which may kill it. It ends with the test.
func New(t testing.TB, dir string) *engine.Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	e, err := launch(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// Library gives the engine's library.
func Library() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	return engine.Fetch(ctx, "", nil)
}

func launch(dir string) (*engine.Engine, error) {
	lib, err := Library()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sockets, err := os.MkdirTemp("", "sock") // test folders' paths may be too long for sockets
	if err != nil {
		return nil, err
	}
	e, err := engine.Start(context.Background(), engine.Options{
		Library: lib, Dir: filepath.Join(dir, "data"), Sockets: sockets, Command: []string{self}, MemoryBytes: memoryBytes,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Ready(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Options gives a client's options for a new, empty database, which is dropped when the test ends.
func Options(t testing.TB) *clickhouse.Options {
	t.Helper()
	if address := os.Getenv(AddressEnv); address != "" {
		return database(t, &clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{address}})
	}
	return database(t, Client(Start(t)))
}

// Client gives a client's options for an engine.
func Client(e *engine.Engine) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{"localhost:8123"}, // the name is never looked up; "localhost" is exempt from proxies
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) { return e.Dial(ctx) },
	}
}

func database(t testing.TB, o *clickhouse.Options) *clickhouse.Options {
	t.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	exec := func(sql string) error {
		conn, err := clickhouse.Open(o)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.Exec(context.Background(), sql)
	}
	if err := exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	with := *o
	with.Auth.Database = name
	return &with
}
