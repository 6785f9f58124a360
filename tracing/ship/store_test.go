package ship

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

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
	cuts    map[string]trail.Cut
	// ask is called before and after each effect; an error ends the operation there.
	ask func(what string) error
	// askOf is the same, and hears whose context it is.
	askOf func(ctx context.Context, what string) error
}

func newStore() *store { return &store{tokens: map[string]bool{}, cuts: map[string]trail.Cut{}} }

func (s *store) asked(ctx context.Context, what string) error {
	if s.askOf != nil {
		return s.askOf(ctx, what)
	}
	if s.ask == nil {
		return nil
	}
	return s.ask(what)
}

// once does f when the table was not given the token before.
func (s *store) once(ctx context.Context, table, token string, f func()) error {
	if err := s.asked(ctx, "before "+table); err != nil {
		return err
	}
	if !s.tokens[table+token] {
		s.tokens[table+token] = true
		f()
	}
	return s.asked(ctx, "after "+table)
}

func (s *store) NewBlock() trail.Block { return &derivetest.Rows{} }

func (s *store) Write(ctx context.Context, token string, b trail.Block) error {
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
		if err := s.once(ctx, t.name, token, t.add); err != nil {
			return err
		}
	}
	s.sizes = append(s.sizes, b.Rows())
	return nil
}

func (s *store) Record(ctx context.Context, token string, rows []trail.Shipped) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once(ctx, "ship_log", token, func() { s.shipped = append(s.shipped, rows...) })
}

func (s *store) Recorded(ctx context.Context, token string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens["ship_log"+token], s.asked(ctx, "recorded")
}

func (s *store) LastCut(ctx context.Context, broker, group string) (trail.Cut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cuts[broker+"/"+group], s.asked(ctx, "last cut")
}

func (s *store) Decide(ctx context.Context, c trail.Cut) (trail.Cut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.once(ctx, "cuts", fmt.Sprint(c.Broker, "/", c.Group, "/", c.Seq), func() {
		if log := c.Broker + "/" + c.Group; s.cuts[log].Seq < c.Seq {
			s.cuts[log] = c
		}
	})
	return s.cuts[c.Broker+"/"+c.Group], err
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
// positions are those of the messages; none may be there twice.
func positions(t *testing.T, rows derivetest.Rows) map[int64]bool {
	t.Helper()
	seen := map[int64]bool{}
	for _, m := range rows.Messages {
		if seen[m.Position] {
			t.Errorf("position %d is stored twice", m.Position)
		}
		seen[m.Position] = true
	}
	return seen
}

// untold is what was not recorded and of which no topic is known.
func untold(shipped []trail.Shipped) (sum uint64) {
	for _, h := range holes(shipped) {
		if h.Topic == "" {
			sum += h.NotRecorded
		}
	}
	return sum
}

func holes(shipped []trail.Shipped) (all []trail.Shipped) {
	for _, s := range shipped {
		if s.NotRecorded > 0 {
			all = append(all, s)
		}
	}
	return all
}
