package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// front serves ClickHouse's HTTP interface over chDB connections.
type front struct {
	name, version, timezone string
	pool                    *pool
	admin                   *admin
	readonly                bool
	limits                  ReadOnlyLimits
	outside                 map[string]bool // functions that the read-only front does not offer
	running                 *atomic.Uint64  // numbers of statements, for KILL; shared by the fronts of an engine
	log                     *slog.Logger
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		f.ping(w)
	case "/", "":
		if r.Method != http.MethodPost && r.Method != http.MethodGet {
			w.Header().Set("Allow", "GET, POST")
			http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
			return
		}
		f.query(w, r)
	default:
		http.NotFound(w, r)
	}
}

// ping asks the engine, not only this process: an engine that hangs must not look well.
func (f *front) ping(w http.ResponseWriter) {
	if _, err := f.admin.ask("SELECT 1"); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "Ok.\n")
}

func (f *front) query(w http.ResponseWriter, r *http.Request) {
	q, err := readRequest(r)
	a := f.newAnswer(w, q)
	defer a.release()
	if err == nil {
		err = f.run(r.Context(), q, a)
	}
	if err != nil {
		e := asException(err)
		f.log.Debug("statement failed", "code", e.Code, "error", e.Text)
		a.fail(e)
	}
}

// run runs a statement on a session of the pool.
func (f *front) run(ctx context.Context, q *request, a *answer) error {
	if q.text == hello && q.revision > 0 && q.output == "Native" {
		if err := a.write(helloBlock(q.revision, f.name, f.version, f.timezone)); err != nil {
			return err
		}
		return a.finish(summary{})
	}
	s, err := f.pool.take(ctx)
	if err != nil {
		return err
	}
	defer f.pool.put(s)
	if err := f.prepare(s, q); err != nil {
		return err
	}
	if err := f.bring(ctx, s, q.external); err != nil {
		return err
	}
	n := f.running.Add(1)
	var sum summary
	switch {
	case q.data != nil:
		sum, err = f.insert(ctx, s, q, n, a.waitForBody)
	case q.streams:
		sum, err = f.stream(ctx, s, q, n, a)
	default:
		sum, err = f.whole(ctx, s, q, n, a)
	}
	if err != nil {
		return unmarked(err, n)
	}
	return a.finish(sum)
}

// prepare gives the session what the request asks for.
func (f *front) prepare(s *session, q *request) error {
	if q.session {
		s.spent = true // as over HTTP without a session: what it sets ends with the request
	}
	if f.readonly {
		if err := f.restrict(q); err != nil {
			return err
		}
	}
	if err := s.use(q.database); err != nil {
		return err
	}
	if err := s.set(q.settings); err != nil || !f.readonly {
		return err
	}
	return s.exec("SET readonly = 1") // last: nothing can be set after it
}

// markOf is the comment by which KILL finds a statement.
func markOf(n uint64) string { return fmt.Sprintf("/* contrail:%d */", n) }

// unmarked takes the mark out of an error: it is not of the client's text.
func unmarked(err error, n uint64) error {
	e := asException(err)
	text := strings.ReplaceAll(strings.ReplaceAll(e.Text, " "+markOf(n), ""), markOf(n), "")
	return &Exception{e.Code, text}
}

// whole runs a statement whose answer comes in one piece.
func (f *front) whole(ctx context.Context, s *session, q *request, n uint64, a *answer) (summary, error) {
	text := q.text + " " + markOf(n) // last, so that positions in errors are those of the client's text
	if q.values {
		text = markOf(n) + " " + q.text // what is behind VALUES is data
	}
	defer f.guard(ctx, n)()
	r := s.conn.query(text, q.output, q.params)
	defer r.free()
	if err := r.err(); err != nil {
		return summary{}, err
	}
	if data := r.bytes(); len(data) > 0 {
		return r.summary(), a.write(data)
	}
	return r.summary(), nil
}

// plain runs a statement that answers nothing.
func (f *front) plain(ctx context.Context, s *session, q *request, text string, n uint64) (summary, error) {
	defer f.guard(ctx, n)()
	r := s.conn.query(text, "Null", q.params)
	defer r.free()
	return r.summary(), r.err()
}

// stream runs a SELECT and sends its answer chunk by chunk.
func (f *front) stream(ctx context.Context, s *session, q *request, n uint64, a *answer) (summary, error) {
	defer f.guard(ctx, n)()
	stream := s.conn.stream(q.text+" "+markOf(n), q.output, q.params)
	defer stream.free()
	if err := stream.err(); err != nil {
		return summary{}, err
	}
	for {
		more, err := f.chunk(s, stream, a)
		if err != nil {
			s.conn.cancel(stream)
			return summary{}, err
		}
		if !more {
			return summary{}, nil
		}
		if ctx.Err() != nil {
			s.conn.cancel(stream)
			return summary{}, exceptionf(codeCancelled, "the client is gone: %v", context.Cause(ctx))
		}
	}
}

func (f *front) chunk(s *session, stream result, a *answer) (more bool, err error) {
	chunk := s.conn.fetch(stream)
	defer chunk.free()
	if err := chunk.err(); err != nil {
		return false, err
	}
	data := chunk.bytes()
	if len(data) == 0 {
		return false, nil
	}
	if err := a.write(data); err != nil {
		return false, err
	}
	a.flush()
	return true, nil
}

// guard kills the statement when its client goes away, until the returned function is called.
func (f *front) guard(ctx context.Context, n uint64) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() { f.kill(n, done) })
	return func() {
		cancel()
		close(done)
	}
}

// killTries bounds the attempts: the statement may not have begun at the first, or be deaf for a while.
const killTries = 100

// kill ends a statement from another session. The engine makes up the ids of queries, so it is found by its comment.
func (f *front) kill(n uint64, done <-chan struct{}) {
	sql := fmt.Sprintf("KILL QUERY WHERE position(query, 'contrail:%d ' || '*/') > 0 ASYNC", n)
	for try := range killTries {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		}
		if err := f.admin.exec(sql); err != nil {
			f.log.Warn("kill of an abandoned statement", "error", err)
		}
	}
	f.log.Error("an abandoned statement does not end", "statement", n)
}
