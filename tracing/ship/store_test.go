package ship

import (
	"context"
	"slices"
	"sync"

	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// store is a Writer in memory with ClickHouse's rules: each table knows the tokens that it was given.
type store struct {
	mu      sync.Mutex
	tokens  map[string]bool
	rows    derivetest.Rows
	shipped []trail.Shipped
	sizes   []int // rows of the blocks written
	// ask is called before and after each effect; an error ends the operation there.
	ask func(what string) error
}

func newStore() *store { return &store{tokens: map[string]bool{}} }

func (s *store) asked(what string) error {
	if s.ask == nil {
		return nil
	}
	return s.ask(what)
}

// once does f when the table was not given the token before.
func (s *store) once(table, token string, f func()) error {
	if err := s.asked("before " + table); err != nil {
		return err
	}
	if !s.tokens[table+token] {
		s.tokens[table+token] = true
		f()
	}
	return s.asked("after " + table)
}

func (s *store) NewBlock() trail.Block { return &derivetest.Rows{} }

func (s *store) Write(_ context.Context, token string, b trail.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := b.(*derivetest.Rows)
	for _, t := range []struct {
		name string
		n    int
		add  func()
	}{
		{"messages", len(r.Messages), func() { s.rows.Messages = append(s.rows.Messages, r.Messages...) }},
		{"deliveries", len(r.Deliveries), func() { s.rows.Deliveries = append(s.rows.Deliveries, r.Deliveries...) }},
		{"settlements", len(r.Settlements), func() { s.rows.Settlements = append(s.rows.Settlements, r.Settlements...) }},
		{"steps", len(r.Steps), func() { s.rows.Steps = append(s.rows.Steps, r.Steps...) }},
		{"happenings", len(r.Happenings), func() { s.rows.Happenings = append(s.rows.Happenings, r.Happenings...) }},
	} {
		if t.n == 0 {
			continue
		}
		if err := s.once(t.name, token, t.add); err != nil {
			return err
		}
	}
	s.sizes = append(s.sizes, b.Rows())
	return nil
}

func (s *store) Record(_ context.Context, token string, rows []trail.Shipped) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once("ship_log", token, func() { s.shipped = append(s.shipped, rows...) })
}

func (s *store) Recorded(_ context.Context, token string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens["ship_log"+token], s.asked("recorded")
}

// set changes ask.
func (s *store) set(ask func(string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask = ask
}

// copy is what is stored now.
func (s *store) copy() (derivetest.Rows, []trail.Shipped, []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows
	r.Messages = slices.Clone(r.Messages)
	return r, slices.Clone(s.shipped), slices.Clone(s.sizes)
}

// holes are the rows of ship_log that count something lost.
func holes(shipped []trail.Shipped) (all []trail.Shipped) {
	for _, s := range shipped {
		if s.NotRecorded > 0 {
			all = append(all, s)
		}
	}
	return all
}
