package service

import (
	"strings"

	"github.com/contrailmq/contrail/broker/message"
)

// filter is a subscription's tag expression as the broker evaluates it: by hash; the client compares the strings again
// (rocketmq.md 3.4). A nil hashes takes all.
type filter struct {
	hashes map[int32]struct{}
}

const (
	expressionMax = 64 << 10 // bytes of a subscription
	filtersMax    = 10_000   // compiled expressions kept
	filterKeep    = 1 << 10  // bytes of an expression that is kept; a longer one is compiled each time
)

func (f *filter) matches(tagHash int32) bool {
	if f.hashes == nil {
		return true
	}
	_, ok := f.hashes[tagHash]
	return ok
}

// filterOf compiles a subscription, or finds it compiled.
func (s *Service) filterOf(kind, expression string) (*filter, *Error) {
	if kind != "" && kind != "TAG" {
		return nil, Refuse(CodeSystemError, "The broker does not support consumer to filter message by %s", kind)
	}
	if f, ok := s.filters.Load(expression); ok {
		return f.(*filter), nil
	}
	if len(expression) > expressionMax {
		return nil, Refuse(CodeSubscriptionParseFailed, "parse the consumer's subscription failed: it has %d bytes, the limit is %d", len(expression), expressionMax)
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

// CheckSubscription says whether an expression can be used.
func (s *Service) CheckSubscription(kind, expression string) *Error {
	_, err := s.filterOf(kind, expression)
	return err
}
