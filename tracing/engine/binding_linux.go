//go:build linux && amd64 && !noengine

package engine

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is libchdb.so in this process. Its functions may be called from any goroutine; each call holds an OS thread until
// the engine returns.
type library struct {
	setSignalHandlers func(on int32)
	connectFn         func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeFn           func(cell unsafe.Pointer)
	queryFn           func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, params uintptr) unsafe.Pointer
	streamFn          func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, params uintptr) unsafe.Pointer
	fetchFn           func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelFn          func(conn, stream unsafe.Pointer)
	destroyFn         func(result unsafe.Pointer)
	bufferFn          func(result unsafe.Pointer) unsafe.Pointer
	lengthFn          func(result unsafe.Pointer) uintptr
	elapsedFn         func(result unsafe.Pointer) float64
	rowsReadFn        func(result unsafe.Pointer) uint64
	bytesReadFn       func(result unsafe.Pointer) uint64
	rowsWrittenFn     func(result unsafe.Pointer) uint64
	bytesWrittenFn    func(result unsafe.Pointer) uint64
	errorFn           func(result unsafe.Pointer) string

	connecting sync.Mutex // signal dispositions belong to the process: one connect at a time
}

// openLibrary loads the engine. It starts no thread and touches no data: the first connect does.
func openLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := &library{}
	for name, fn := range map[string]any{
		"chdb_set_signal_handlers_enabled": &l.setSignalHandlers,
		"chdb_connect":                     &l.connectFn,
		"chdb_close_conn":                  &l.closeFn,
		"chdb_query_with_params_n":         &l.queryFn,
		"chdb_stream_query_with_params_n":  &l.streamFn,
		"chdb_stream_fetch_result":         &l.fetchFn,
		"chdb_stream_cancel_query":         &l.cancelFn,
		"chdb_destroy_query_result":        &l.destroyFn,
		"chdb_result_buffer":               &l.bufferFn,
		"chdb_result_length":               &l.lengthFn,
		"chdb_result_elapsed":              &l.elapsedFn,
		"chdb_result_rows_read":            &l.rowsReadFn,
		"chdb_result_bytes_read":           &l.bytesReadFn,
		"chdb_result_rows_written":         &l.rowsWrittenFn,
		"chdb_result_bytes_written":        &l.bytesWrittenFn,
		"chdb_result_error":                &l.errorFn,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not the engine this build knows: %w", path, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return l, nil
}

// connection is one chDB connection: one statement at a time, owned by one goroutine at a time.
type connection struct {
	lib  *library
	cell unsafe.Pointer // what chdb_connect returned; the connection itself is inside
}

// connect opens a connection. The first one of a process starts the engine with args (--path=…, server settings); later
// ones join it.
//
// chdb_set_signal_handlers_enabled(0) keeps ClickHouse's crash handlers away (they sleep in a Go process, so that a nil
// dereference would hang it), but it and every connect set the fatal signals to their defaults, which takes Go's handlers
// away too. So they are put back; in between, for microseconds, such a signal kills the process, which is what it should.
func (l *library) connect(args []string) (*connection, error) {
	l.connecting.Lock()
	defer l.connecting.Unlock()
	saved, err := saveSignals()
	if err != nil {
		return nil, err
	}
	l.setSignalHandlers(0)
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := make([]*byte, 0, len(args)+2)
	for _, arg := range append([]string{"clickhouse"}, args...) {
		argv = append(argv, pinned(&pins, arg+"\x00"))
	}
	pins.Pin(&argv[0])
	cell := l.connectFn(int32(len(argv)), unsafe.Pointer(&argv[0]))
	if err := saved.restore(); err != nil {
		return nil, err
	}
	if cell == nil || *(*unsafe.Pointer)(cell) == nil {
		return nil, errors.New("the engine refused to open its data (another process may hold the folder)")
	}
	return &connection{lib: l, cell: cell}, nil
}

// close closes the connection. Closing a process's last one stops the engine for good.
func (c *connection) close() {
	if c.cell != nil {
		c.lib.closeFn(c.cell)
		c.cell = nil
	}
}

func (c *connection) raw() unsafe.Pointer { return *(*unsafe.Pointer)(c.cell) }

// query runs one statement to its end. The result must be freed.
func (c *connection) query(sql, format string, params []param) result {
	return c.call(c.lib.queryFn, sql, format, params)
}

// stream starts a SELECT. The stream must be freed, and cancelled before that if its end was not reached.
func (c *connection) stream(sql, format string, params []param) result {
	return c.call(c.lib.streamFn, sql, format, params)
}

func (c *connection) call(fn func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, params uintptr) unsafe.Pointer,
	sql, format string, params []param) result {
	var pins runtime.Pinner
	defer pins.Unpin()
	n := len(params)
	names, values := make([]*byte, n+1), make([]*byte, n+1) // one more: &x[0] exists for none too
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range params {
		names[i], nameLens[i] = pinned(&pins, p.name), uintptr(len(p.name))
		values[i], valueLens[i] = pinned(&pins, p.value), uintptr(len(p.value))
	}
	pins.Pin(&names[0])
	pins.Pin(&values[0])
	pins.Pin(&nameLens[0])
	pins.Pin(&valueLens[0])
	r := fn(c.raw(), unsafe.Pointer(pinned(&pins, sql)), uintptr(len(sql)), unsafe.Pointer(pinned(&pins, format)), uintptr(len(format)),
		unsafe.Pointer(&names[0]), unsafe.Pointer(&nameLens[0]), unsafe.Pointer(&values[0]), unsafe.Pointer(&valueLens[0]), uintptr(n))
	return result{c.lib, r}
}

// fetch takes the next chunk of a stream; an empty one is its end. The chunk must be freed.
func (c *connection) fetch(stream result) result {
	return result{c.lib, c.lib.fetchFn(c.raw(), stream.p)}
}

// cancel ends a stream early. Between fetches only: it waits for a running one.
func (c *connection) cancel(stream result) { c.lib.cancelFn(c.raw(), stream.p) }

// result is an answer of the engine, in the engine's memory.
type result struct {
	lib *library
	p   unsafe.Pointer
}

// bytes is the answer's data. It is the engine's memory: gone after free.
func (r result) bytes() []byte {
	if r.p == nil {
		return nil
	}
	p := r.lib.bufferFn(r.p)
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), r.lib.lengthFn(r.p))
}

func (r result) err() error {
	if r.p == nil {
		return errors.New("the engine gave no answer")
	}
	if text := r.lib.errorFn(r.p); text != "" {
		return parseException(text)
	}
	return nil
}

func (r result) summary() summary {
	if r.p == nil {
		return summary{}
	}
	return summary{
		rowsRead: r.lib.rowsReadFn(r.p), bytesRead: r.lib.bytesReadFn(r.p),
		rowsWritten: r.lib.rowsWrittenFn(r.p), bytesWritten: r.lib.bytesWrittenFn(r.p),
		elapsedNanos: int64(r.lib.elapsedFn(r.p) * 1e9),
	}
}

func (r result) free() {
	if r.p != nil {
		r.lib.destroyFn(r.p)
	}
}

// pinned gives s's bytes an address that stays valid until the pins are lifted. A C caller may not be given nil.
func pinned(pins *runtime.Pinner, s string) *byte {
	if s == "" {
		s = "\x00"
	}
	p := unsafe.StringData(s)
	pins.Pin(p)
	return p
}
