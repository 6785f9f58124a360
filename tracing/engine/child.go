package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// childEnv carries ChildOptions to the child process, so that its command line is the owner's business.
const childEnv = "CONTRAIL_ENGINE"

// Names of the sockets in ChildOptions.Sockets.
const (
	socketName         = "engine.sock"
	readOnlySocketName = "engine-ro.sock"
)

// ChildOptions say what the child process runs.
type ChildOptions struct {
	Library     string // libchdb.so
	Dir         string // the engine's data
	Sockets     string // folder of the sockets
	MemoryBytes int64  // cap of the engine's memory
	Threads     int    // threads of one query
	Sessions    int    // queries at a time
	ReadOnly    ReadOnlyLimits
}

// ReadOnlyLimits bound what a query on the read-only socket may use. They cannot be raised by the query.
type ReadOnlyLimits struct {
	Queries      int // at a time
	MemoryBytes  int64
	ExecutionMax time.Duration
	ResultRows   int64
}

// ChildOptionsFromEnv gives the options that a supervisor left for this process; ok is false in any other process.
func ChildOptionsFromEnv() (o ChildOptions, ok bool, err error) {
	text := os.Getenv(childEnv)
	if text == "" {
		return o, false, nil
	}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, true, fmt.Errorf("%s: %w", childEnv, err)
	}
	return o, true, nil
}

// RunChild is the body of the child process, to be called before anything else: it executes the binary again with the same
// arguments (see confine). It ends when ctx does, or when the parent is gone: the parent holds the other end of standard
// input.
func RunChild(ctx context.Context, o ChildOptions) error {
	ready := os.NewFile(3, "ready")
	fail := func(err error) error {
		if ready != nil {
			_, _ = fmt.Fprintf(ready, "%v\n", err)
			_ = ready.Close()
		}
		return err
	}
	if err := humble(); err != nil {
		return fail(err)
	}
	if err := confine(o); err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(errors.New("the parent is gone"))
	}()
	lib, err := openLibrary(o.Library)
	if err != nil {
		return fail(err)
	}
	house, err := openHouse(lib, o, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return fail(err)
	}
	if err := house.listen(o); err != nil {
		return fail(err)
	}
	if ready != nil {
		_, _ = io.WriteString(ready, readyLine)
		_ = ready.Close()
	}
	<-ctx.Done()
	return house.close()
}

const readyLine = "ready\n"

// house is the engine with its fronts.
type house struct {
	admin   *admin
	pools   []*pool
	servers []*http.Server
	fronts  [2]*front // writing, read-only
}

// arguments are the engine's server settings.
func (o ChildOptions) arguments() []string {
	return []string{
		"--path=" + o.Dir,
		"--max_server_memory_usage=" + strconv.FormatInt(o.MemoryBytes, 10),
		"--mark_cache_size=" + strconv.FormatInt(o.MemoryBytes/16, 10), // 5 GiB unless told
		"--uncompressed_cache_size=0",
		"--index_mark_cache_size=" + strconv.FormatInt(o.MemoryBytes/64, 10),
		"--mmap_cache_size=0",
	}
}

func openHouse(lib *library, o ChildOptions, log *slog.Logger) (*house, error) {
	args := o.arguments()
	open := func(base []setting) (*session, error) {
		conn, err := lib.connect(args)
		if err != nil {
			return nil, err
		}
		s := &session{conn: conn, base: base}
		if err := s.start(); err != nil {
			conn.close()
			return nil, err
		}
		return s, nil
	}
	first, err := open(nil)
	if err != nil {
		return nil, err
	}
	h := &house{admin: &admin{}}
	h.admin.mu.session = first
	writing := []setting{{"max_threads", strconv.Itoa(o.Threads)}, {"max_memory_usage", strconv.FormatInt(o.MemoryBytes/4*3, 10)}}
	rw, err := newPool(o.Sessions, poolWait, false, func() (*session, error) { return open(writing) })
	if err != nil {
		return nil, err
	}
	limits := o.ReadOnly.settings(o.Threads)
	ro, err := newPool(o.ReadOnly.Queries, poolWait, true, func() (*session, error) {
		s, err := open(limits)
		if s != nil {
			s.spent = true // readonly cannot be taken back, and what the query changed neither
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	h.pools = []*pool{rw, ro}
	version, err := h.admin.ask("SELECT version()")
	if err != nil {
		return nil, err
	}
	timezone, err := h.admin.ask("SELECT timezone()")
	if err != nil {
		return nil, err
	}
	outside, err := h.admin.outsiders()
	if err != nil {
		return nil, err
	}
	running := &atomic.Uint64{}
	for i, p := range h.pools {
		h.fronts[i] = &front{name: "contrail engine", version: version, timezone: timezone, pool: p, admin: h.admin,
			readonly: i == 1, limits: o.ReadOnly, outside: outside, running: running, log: log}
	}
	return h, nil
}

// poolWait is how long a request waits for a session before it is refused.
const poolWait = 30 * time.Second

// settings are what a read-only session starts with; readonly itself comes after a request's own.
func (l ReadOnlyLimits) settings(threads int) []setting {
	return []setting{
		{"max_threads", strconv.Itoa(threads)},
		{"max_memory_usage", strconv.FormatInt(l.MemoryBytes, 10)},
		{"max_execution_time", strconv.FormatFloat(l.ExecutionMax.Seconds(), 'f', -1, 64)},
		{"max_result_rows", strconv.FormatInt(l.ResultRows, 10)},
	}
}

// listen opens the sockets and serves them.
func (h *house) listen(o ChildOptions) error {
	for i, name := range []string{socketName, readOnlySocketName} {
		path := filepath.Join(o.Sockets, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		server := &http.Server{Handler: h.fronts[i], ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 4 << 20}
		h.servers = append(h.servers, server)
		go func() { _ = server.Serve(l) }()
	}
	return nil
}

// closeTimeout bounds an orderly end: requests get that long, then the engine itself gets it once more.
const closeTimeout = 5 * time.Second

func (h *house) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	for _, s := range h.servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err // statements still run: the process ends under them, what was acknowledged is on disk
	}
	closed := make(chan struct{})
	go func() {
		for _, p := range h.pools {
			p.close()
		}
		h.admin.mu.Lock()
		h.admin.mu.session.conn.close()
		h.admin.mu.Unlock()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(closeTimeout):
		return errors.New("the engine did not stop in time")
	}
}
