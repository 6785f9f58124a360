package service

import (
	"strings"
	"sync"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/sql92"
)

// filter is a subscription's expression as the broker evaluates it. Tags are compared by their hash, which the queue index has; the
// client compares the strings again (rocketmq.md 3.4). SQL92 needs the message's properties. With neither, all pass.
type filter struct {
	hashes map[int32]struct{}
	sql    *sql92.Filter
}

// Kinds of expressions (org.apache.rocketmq.common.filter.ExpressionType).
const (
	ExpressionTag = "TAG"
	ExpressionSQL = "SQL92"
)

const (
	expressionMax = 64 << 10 // bytes of a subscription
	filtersMax    = 10_000   // compiled tag expressions kept
	filterKeep    = 1 << 10  // bytes of a tag expression that is kept; a longer one is compiled each time
	sqlKeep       = 1 << 20  // bytes of all SQL92 expressions that are kept compiled
)

const parseFailed = "parse the consumer's subscription failed: "

// matches says whether a message with this tag passes; it knows nothing of SQL92.
func (f *filter) matches(tagHash int32) bool {
	if f.hashes == nil {
		return true
	}
	_, ok := f.hashes[tagHash]
	return ok
}

// filterOf compiles a subscription, or finds it compiled.
func (s *Service) filterOf(kind, expression string) (*filter, *Error) {
	switch kind {
	case "", ExpressionTag:
		return s.tagFilter(expression)
	case ExpressionSQL:
		return s.sqlFilters.of(expression)
	}
	return nil, Refuse(CodeSystemError, "The broker does not support consumer to filter message by %.100s", kind)
}

func (s *Service) tagFilter(expression string) (*filter, *Error) {
	if f, ok := s.filters.Load(expression); ok {
		return f.(*filter), nil
	}
	if len(expression) > expressionMax {
		return nil, Refuse(CodeSubscriptionParseFailed, parseFailed+"it has %d bytes, the limit is %d", len(expression), expressionMax)
	}
	f := parseTags(expression)
	if len(expression) > filterKeep {
		return f, nil
	}
	if s.nfilters.Add(1) > filtersMax {
		s.filters.Clear()
		s.nfilters.Store(1)
	}
	s.filters.Store(expression, f)
	return f, nil
}

// parseTags reads `a || b`; empty and * take all (org.apache.rocketmq.remoting.protocol.filter.FilterAPI).
func parseTags(expression string) *filter {
	if e := strings.TrimSpace(expression); e == "" || e == "*" {
		return &filter{}
	}
	f := &filter{hashes: map[int32]struct{}{}}
	for tag := range strings.SplitSeq(expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" {
			f.hashes[message.TagHash([]byte(tag))] = struct{}{}
		}
	}
	return f
}

// sqlFilters keeps compiled SQL92 expressions; when they are too many, all are forgotten and compiled as they are asked for. The zero
// value is ready.
type sqlFilters struct {
	mu    sync.RWMutex
	by    map[string]*filter
	bytes int // of expressions in by
}

// of compiles an expression, or finds it compiled. The error's text names the place in the expression.
func (c *sqlFilters) of(expression string) (*filter, *Error) {
	c.mu.RLock()
	f := c.by[expression]
	c.mu.RUnlock()
	if f != nil {
		return f, nil
	}
	compiled, err := sql92.Compile(expression)
	if err != nil {
		return nil, &Error{CodeSubscriptionParseFailed, parseFailed + err.Error(), err}
	}
	f = &filter{sql: compiled}
	c.keep(expression, f)
	return f, nil
}

func (c *sqlFilters) keep(expression string, f *filter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[expression] != nil {
		return
	}
	if c.by == nil || c.bytes+len(expression) > sqlKeep {
		c.by, c.bytes = map[string]*filter{}, 0
	}
	c.by[strings.Clone(expression)] = f
	c.bytes += len(expression)
}

// CheckSubscription says whether an expression can be used.
func (s *Service) CheckSubscription(kind, expression string) *Error {
	_, err := s.filterOf(kind, expression)
	return err
}
