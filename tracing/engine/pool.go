package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// session is a chDB connection and what the front has set on it.
type session struct {
	conn     *connection
	base     []setting // what it was opened with, and returns to
	database string
	changed  []string // settings that are not their defaults
	spent    bool     // must not be used again
}

// exec runs a statement of the front's own.
func (s *session) exec(sql string) error {
	r := s.conn.query(sql, "Null", nil)
	defer r.free()
	return r.err()
}

// start gives a new session its base settings.
func (s *session) start() error {
	if len(s.base) == 0 {
		return nil
	}
	return s.exec("SET " + assignments(s.base))
}

func assignments(settings []setting) string {
	parts := make([]string, len(settings))
	for i, v := range settings {
		parts[i] = v.name + " = " + quote(v.value)
	}
	return strings.Join(parts, ", ")
}

// use makes the database current.
func (s *session) use(database string) error {
	if database == s.database {
		return nil
	}
	if err := s.exec("USE " + identifier(database)); err != nil {
		return err
	}
	s.database = database
	return nil
}

// set sets settings for one request.
func (s *session) set(settings []setting) error {
	if len(settings) == 0 {
		return nil
	}
	for _, v := range settings {
		s.changed = append(s.changed, v.name)
	}
	return s.exec("SET " + assignments(settings))
}

// reset takes back what set did. A session that cannot be reset is spent.
func (s *session) reset() {
	if len(s.changed) == 0 || s.spent {
		return
	}
	slices.Sort(s.changed)
	for _, name := range slices.Compact(s.changed) {
		if err := s.exec("SET " + name + " = DEFAULT"); err != nil && asException(err).Code != codeUnknownSetting {
			s.spent = true
		}
	}
	s.changed = s.changed[:0]
	if err := s.start(); err != nil {
		s.spent = true
	}
}

// setting is one ClickHouse setting of a request.
type setting struct{ name, value string }

// pool holds the sessions of a front. They are opened at the start, because every connect leaves the process without Go's
// signal handlers for a moment (see library.connect), and are reused; one that a request spent is replaced.
type pool struct {
	open func() (*session, error)
	free chan *session // nil in it: a place whose session has to be opened
	wait time.Duration
}

// newPool opens size sessions; lazy ones are opened when they are needed.
func newPool(size int, wait time.Duration, lazy bool, open func() (*session, error)) (*pool, error) {
	p := &pool{open: open, free: make(chan *session, size), wait: wait}
	for range size {
		if lazy {
			p.free <- nil
			continue
		}
		s, err := open()
		if err != nil {
			p.close()
			return nil, err
		}
		p.free <- s
	}
	return p, nil
}

// take gives a session, waiting for one at most the pool's wait.
func (p *pool) take(ctx context.Context) (*session, error) {
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case s := <-p.free:
		if s != nil {
			return s, nil
		}
		s, err := p.open()
		if err != nil {
			p.free <- nil
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		return nil, exceptionf(codeCancelled, "the client is gone: %v", context.Cause(ctx))
	case <-timer.C:
		return nil, exceptionf(codeTooMany, "Too many simultaneous queries: all %d places were taken for %v", cap(p.free), p.wait)
	}
}

// put gives a session back.
func (p *pool) put(s *session) {
	s.reset()
	if s.spent {
		s.conn.close()
		s = nil
	}
	p.free <- s
}

// close closes the sessions that are not in use.
func (p *pool) close() {
	for {
		select {
		case s := <-p.free:
			if s != nil {
				s.conn.close()
			}
		default:
			return
		}
	}
}

// admin is the session for the front's own questions and for KILL. It also keeps the engine up while pools come and go.
type admin struct {
	mu struct {
		sync.Mutex
		session *session
	}
}

func (a *admin) exec(sql string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.session.exec(sql)
}

// ask answers a one-value question.
func (a *admin) ask(sql string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.mu.session.conn.query(sql, "TSVRaw", nil)
	defer r.free()
	if err := r.err(); err != nil {
		return "", fmt.Errorf("%s: %w", sql, err)
	}
	return strings.TrimSuffix(string(r.bytes()), "\n"), nil
}
