package clickhouse

import (
	"context"
	"time"

	"github.com/contrailmq/contrail/tracing/trail"
)

// progress is who knows how far the shipping is.
type progress struct{ of func() trail.Status }

// Follow names who knows how far the shipping is: the shipper's Status.
func (s *Store) Follow(of func() trail.Status) { s.progress.Store(&progress{of}) }

// Progress is how far the shipping is; zero when nobody knows.
func (s *Store) Progress() trail.Status {
	if p := s.progress.Load(); p != nil {
		return p.of()
	}
	return trail.Status{}
}

const (
	pingEvery   = time.Second
	pingTimeout = 2 * time.Second
)

// health is what the last ping said.
type health struct {
	up   bool
	text string
	at   time.Time
}

// Status implements trail.Reader. It asks the server at most once a second and waits for the answer only the first time.
func (s *Store) Status() trail.Status {
	st := s.Progress()
	s.mu.Lock()
	h, asking := s.mu.health, s.mu.asking
	stale := time.Since(h.at) >= pingEvery
	if stale && !asking {
		s.mu.asking = true
	}
	s.mu.Unlock()
	switch {
	case h.at.IsZero() && !asking:
		h = s.ping()
	case stale && !asking:
		go s.ping()
	}
	st.StoreUp, st.StoreText = h.up, h.text
	return st
}

func (s *Store) ping() health {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	h := health{up: true, at: time.Now()}
	var version string
	if err := s.conn.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		h.up, h.text = false, err.Error()
	} else {
		h.text = "ClickHouse " + version
	}
	s.mu.Lock()
	s.mu.health, s.mu.asking = h, false
	s.mu.Unlock()
	return h
}
