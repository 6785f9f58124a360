package catalog

import (
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Entry is a topic with the position of the record that created it: messages before it belong to an older topic of that name.
type Entry struct {
	Topic
	CreatedPos int64 `json:"createdPos"`
}

// State is the topics and groups as applied from the log. Apply methods belong to one goroutine; reading is safe for all.
type State struct {
	mu     sync.RWMutex
	topics map[string]*Entry // values are replaced, never changed
	groups map[string]*Group

	version atomic.Uint64 // grows with each change of a topic
}

// Version grows with each change of a topic: what was looked up before may be stale after.
func (s *State) Version() uint64 { return s.version.Load() }

// NewState is empty.
func NewState() *State {
	return &State{topics: map[string]*Entry{}, groups: map[string]*Group{}}
}

// PutTopic creates or changes a topic; pos is the position of the record that says so.
func (s *State) PutTopic(body []byte, pos int64) (Entry, error) {
	e := Entry{CreatedPos: pos}
	if err := json.Unmarshal(body, &e.Topic); err != nil {
		return e, fmt.Errorf("topic: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.topics[e.Name]; old != nil {
		e.CreatedPos = old.CreatedPos
	}
	s.topics[e.Name] = &e
	s.version.Add(1)
	return e, nil
}

// DeleteTopic removes a topic.
func (s *State) DeleteTopic(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, name)
	s.version.Add(1)
}

// PutGroup creates or changes a group.
func (s *State) PutGroup(body []byte) (Group, error) {
	var g Group
	if err := json.Unmarshal(body, &g); err != nil {
		return g, fmt.Errorf("group: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[g.Name] = &g
	return g, nil
}

// DeleteGroup removes a group.
func (s *State) DeleteGroup(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.groups, name)
}

// Topic finds a topic.
func (s *State) Topic(name string) (Entry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.topics[name]; e != nil {
		return *e, true
	}
	return Entry{}, false
}

// Group finds a group.
func (s *State) Group(name string) (Group, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.groups[name]; g != nil {
		return *g, true
	}
	return Group{}, false
}

// Topics lists all by name.
func (s *State) Topics() []Entry {
	s.mu.RLock()
	out := make([]Entry, 0, len(s.topics))
	for _, e := range s.topics {
		out = append(out, *e)
	}
	s.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Groups lists all by name.
func (s *State) Groups() []Group {
	s.mu.RLock()
	out := make([]Group, 0, len(s.groups))
	for _, g := range s.groups {
		out = append(out, *g)
	}
	s.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Restore takes what Topics and Groups gave.
func (s *State) Restore(topics []Entry, groups []Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range topics {
		s.topics[e.Name] = &e
	}
	for _, g := range groups {
		s.groups[g.Name] = &g
	}
}

// Reset forgets everything.
func (s *State) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics, s.groups = map[string]*Entry{}, map[string]*Group{}
	s.version.Add(1)
}

// GroupCount is how many groups there are.
func (s *State) GroupCount() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.groups)
}

// Count is how many topics there are.
func (s *State) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.topics)
}
