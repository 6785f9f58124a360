package service

import (
	"context"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
)

// makingFor is how long the pulls of a new group wait until the group is stored. A majority whose disks are full stores nothing, and
// what is stored is read all the same.
const makingFor = 500 * time.Millisecond

// making is a group that a pull asked for.
type making struct {
	began time.Time
	done  chan struct{}
	group catalog.Group
	err   *Error
}

// makeGroup gives a new group's settings; nil when it takes long: the pull goes on without, and others do not wait again.
func (s *Service) makeGroup(name string) (*catalog.Group, *Error) {
	m := &making{began: time.Now(), done: make(chan struct{})}
	if old, under := s.making.LoadOrStore(name, m); under {
		m = old.(*making)
	} else {
		go s.makeInTime(name, m)
	}
	timer := time.NewTimer(makingFor - time.Since(m.began))
	defer timer.Stop()
	select {
	case <-m.done:
		return &m.group, m.err
	case <-timer.C:
		return nil, nil
	}
}

func (s *Service) makeInTime(name string, m *making) {
	ctx, cancel := context.WithTimeout(context.Background(), createPatience)
	defer cancel()
	m.group, m.err = s.EnsureGroup(ctx, name)
	s.making.Delete(name)
	close(m.done)
}
