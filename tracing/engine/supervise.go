package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// Options configure an Engine.
type Options struct {
	Library     string   // from Fetch
	Dir         string   // the engine's data; one engine per folder
	Sockets     string   // folder for the sockets, made with mode 0700; a short path (a socket's has at most 107 bytes)
	Command     []string // argv of the child process, which must call RunChild
	MemoryBytes int64    // cap of the engine's memory; 0: 1 GiB. Below 512 MiB merges of large parts fail
	Threads     int      // threads of one query; 0: 2
	Sessions    int      // queries at a time on the writing socket; 0: 8
	ReadOnly    ReadOnlyLimits
	Log         *slog.Logger

	pings pings
}

// pings is how the supervisor finds out that an engine hangs.
type pings struct {
	every, timeout time.Duration
	missed         int
}

// withDefaults fills what was left out.
func (o Options) withDefaults() Options {
	def := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	defInt := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&o.MemoryBytes, 1<<30)
	defInt(&o.Threads, 2)
	defInt(&o.Sessions, 8)
	defInt(&o.ReadOnly.Queries, 4)
	def(&o.ReadOnly.MemoryBytes, o.MemoryBytes/2)
	def((*int64)(&o.ReadOnly.ExecutionMax), int64(30*time.Second))
	def(&o.ReadOnly.ResultRows, 1_000_000)
	if o.pings.every == 0 {
		o.pings = pings{every: 5 * time.Second, timeout: 20 * time.Second, missed: 3}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate gives all problems of the options.
func (o Options) Validate() error {
	var errs []error
	if o.Library == "" {
		errs = append(errs, errors.New("no library"))
	}
	if o.Dir == "" {
		errs = append(errs, errors.New("no data folder"))
	}
	if len(o.Command) == 0 {
		errs = append(errs, errors.New("no command of the child process"))
	}
	if n := len(filepath.Join(o.Sockets, readOnlySocketName)); o.Sockets == "" || n > socketPathMax {
		errs = append(errs, fmt.Errorf("socket folder %q: a socket's path has 1 to %d bytes, this one's would have %d", o.Sockets, socketPathMax, n))
	}
	return errors.Join(errs...)
}

const socketPathMax = 107

// ErrDown is what Dial wraps while the engine is not up.
var ErrDown = errors.New("the embedded engine is down")

// Engine is a supervised child process that serves ClickHouse's HTTP interface on two Unix sockets.
type Engine struct {
	opts   Options
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the supervisor has ended, and the child with it

	mu struct {
		sync.Mutex
		up      bool
		reason  string        // why not up
		pid     int           // 0: no process
		starts  int           // processes started
		changed chan struct{} // closed at the next change
	}
}

// Start supervises an engine until Close, or until ctx ends. It returns at once: Ready waits.
func Start(ctx context.Context, o Options) (*Engine, error) {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("embedded engine: %w", err)
	}
	for _, dir := range []string{o.Dir, o.Sockets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("embedded engine: %w", err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	e := &Engine{opts: o, cancel: cancel, done: make(chan struct{})}
	e.mu.changed = make(chan struct{})
	e.mu.reason = "starting"
	go e.supervise(ctx)
	return e, nil
}

// Up reports whether the engine serves; if not, reason says why.
func (e *Engine) Up() (up bool, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.up, e.mu.reason
}

// Pid is the child's process id; 0 while there is none.
func (e *Engine) Pid() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.pid
}

// Starts counts the processes started so far.
func (e *Engine) Starts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mu.starts
}

// Ready waits until the engine serves.
func (e *Engine) Ready(ctx context.Context) error {
	for {
		e.mu.Lock()
		up, reason, changed := e.mu.up, e.mu.reason, e.mu.changed
		e.mu.Unlock()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-e.done:
			return fmt.Errorf("%w: closed", ErrDown)
		case <-ctx.Done():
			return fmt.Errorf("%w: %s (%w)", ErrDown, reason, context.Cause(ctx))
		}
	}
}

// Dial connects to the engine: clickhouse-go's Options.DialContext. It fails at once while the engine is down.
func (e *Engine) Dial(ctx context.Context) (net.Conn, error) { return e.dial(ctx, socketName) }

// DialReadOnly connects to the socket whose queries can only read tables, within Options.ReadOnly.
func (e *Engine) DialReadOnly(ctx context.Context) (net.Conn, error) {
	return e.dial(ctx, readOnlySocketName)
}

func (e *Engine) dial(ctx context.Context, name string) (net.Conn, error) {
	if up, reason := e.Up(); !up {
		return nil, fmt.Errorf("%w: %s", ErrDown, reason)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", filepath.Join(e.opts.Sockets, name))
}

// Close ends the child in good order and waits for it.
func (e *Engine) Close() error {
	e.cancel(errors.New("closed"))
	<-e.done
	return nil
}

func (e *Engine) set(up bool, reason string, pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if pid != 0 && pid != e.mu.pid {
		e.mu.starts++
	}
	e.mu.up, e.mu.reason, e.mu.pid = up, reason, pid
	close(e.mu.changed)
	e.mu.changed = make(chan struct{})
}

// Times of the supervisor.
const (
	backoffMin   = 100 * time.Millisecond
	backoffMax   = 15 * time.Second
	steadyAfter  = time.Minute      // a child that lived this long died of something new: back-off starts again
	startTimeout = 2 * time.Minute  // large data takes seconds to load
	endTimeout   = 15 * time.Second // orderly end; then the child is killed
)

// supervise runs children one after the other. It stays on one OS thread: the kernel kills a child whose parent *thread*
// is gone (PR_SET_PDEATHSIG).
func (e *Engine) supervise(ctx context.Context) {
	defer close(e.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := backoffMin
	for {
		began := time.Now()
		err := e.child(ctx)
		if ctx.Err() != nil {
			e.set(false, "closed", 0)
			return
		}
		if time.Since(began) > steadyAfter {
			backoff = backoffMin
		}
		e.set(false, fmt.Sprintf("%v; next start in %v", err, backoff), 0)
		e.opts.Log.Warn("embedded engine ended", "error", err, "next_start_in", backoff)
		select {
		case <-ctx.Done():
			e.set(false, "closed", 0)
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, backoffMax)
	}
}

// child runs one child process from start to end and says why it ended.
func (e *Engine) child(ctx context.Context) error {
	cmd, lifeline, ready, err := e.start()
	if err != nil {
		return err
	}
	defer lifeline.Close()
	e.set(false, "starting", cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer context.AfterFunc(ctx, func() { _ = lifeline.Close() })()
	if err := e.awaitReady(ctx, ready); err != nil {
		return e.end(cmd, lifeline, ended, err)
	}
	e.set(true, "", cmd.Process.Pid)
	e.opts.Log.Info("embedded engine is up", "pid", cmd.Process.Pid)
	deaf := make(chan error, 1)
	pings, stop := context.WithCancel(ctx)
	defer stop()
	go func() { deaf <- e.listenFor(pings) }()
	select {
	case err := <-ended:
		return exitReason(err)
	case err := <-deaf:
		if ctx.Err() == nil { // no use in asking it
			_ = cmd.Process.Kill()
		}
		return e.end(cmd, lifeline, ended, err)
	}
}

// start starts the process. Closing lifeline asks it to end; ready tells when it serves.
func (e *Engine) start() (cmd *exec.Cmd, lifeline io.Closer, ready *os.File, err error) {
	o := e.opts
	options, err := json.Marshal(ChildOptions{o.Library, o.Dir, o.Sockets, o.MemoryBytes, o.Threads, o.Sessions, o.ReadOnly})
	if err != nil {
		return nil, nil, nil, err
	}
	ready, readyEnd, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	defer readyEnd.Close()
	cmd = exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Env = append(environment(), childEnv+"="+string(options))
	cmd.ExtraFiles = []*os.File{readyEnd}
	cmd.SysProcAttr = childAttributes()
	cmd.Stderr = &lineLog{log: o.Log}
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_ = ready.Close()
		return nil, nil, nil, fmt.Errorf("start the engine's process: %w", err)
	}
	return cmd, stdin, ready, nil
}

// inherited are the variables that the child gets: not the parent's secrets, which its SQL could read in /proc.
var inherited = []string{"PATH", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR"}

func environment() []string {
	var env []string
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// awaitReady reads the child's one line: that it serves, or why it cannot.
func (e *Engine) awaitReady(ctx context.Context, ready *os.File) error {
	defer ready.Close()
	_ = ready.SetReadDeadline(time.Now().Add(startTimeout))
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	switch {
	case line == readyLine:
		return nil
	case line != "":
		return errors.New(line[:len(line)-1])
	case errors.Is(err, io.EOF):
		return errors.New("the engine's process ended before it was ready")
	}
	return fmt.Errorf("the engine was not ready: %w", err)
}

// end ends a child that is of no use any more, in good order if it can.
func (e *Engine) end(cmd *exec.Cmd, lifeline io.Closer, ended <-chan error, why error) error {
	_ = lifeline.Close()
	select {
	case err := <-ended:
		if err != nil {
			why = fmt.Errorf("%w (%v)", why, err)
		}
	case <-time.After(endTimeout):
		_ = cmd.Process.Kill()
		<-ended
	}
	return why
}

func exitReason(err error) error {
	if err == nil {
		return errors.New("the engine's process ended by itself")
	}
	return fmt.Errorf("the engine's process ended: %w", err)
}

// listenFor pings the engine until it does not answer any more, or ctx ends.
func (e *Engine) listenFor(ctx context.Context) error {
	client := &http.Client{Timeout: e.opts.pings.timeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx) },
	}}
	tick := time.NewTicker(e.opts.pings.every)
	defer tick.Stop()
	missed := 0
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		err := ping(client)
		if err == nil {
			missed = 0
			continue
		}
		if missed++; missed == e.opts.pings.missed {
			return fmt.Errorf("the engine did not answer %d pings: %w", missed, err)
		}
	}
}

func ping(client *http.Client) error {
	resp, err := client.Get("http://localhost/ping")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}

// lineLog writes what the child prints to the log, a line at a time.
type lineLog struct {
	log  *slog.Logger
	rest []byte
}

// lineBytesMax cuts lines that have no end.
const lineBytesMax = 16 << 10

func (l *lineLog) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' && len(l.rest) < lineBytesMax {
			l.rest = append(l.rest, b)
			continue
		}
		if len(l.rest) > 0 {
			l.log.Info("embedded engine says", "line", string(l.rest))
		}
		l.rest = l.rest[:0]
	}
	return len(p), nil
}
