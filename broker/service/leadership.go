package service

import (
	"context"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/shard"
)

const (
	topicsPatience = 10 * time.Second       // of one try to make the system topics
	topicsRetry    = 200 * time.Millisecond // between two tries
)

// leadership does what a change of leader asks for, on a goroutine of its own: the shard's loop, which tells of the change,
// must not wait. A group of one has none.
type leadership struct {
	kick  chan struct{}
	stop  chan struct{}
	ended sync.WaitGroup
	led   bool   // as of the last look
	made  uint64 // term in which the system topics were found or made
}

// grouped says whether the broker group has, or may get, more than this member.
func (s *Service) grouped() bool { return s.opts.Send != nil }

// Leads says whether this member may answer as the leader of its broker group.
func (s *Service) Leads() bool {
	if s.grouped() {
		return s.shard.Leads()
	}
	return s.shard.Failed() == nil
}

// Leader is the member that leads the broker group as far as this one knows; 0: nobody does yet. A member that was voted in and
// has not found its place in the log is not there yet.
func (s *Service) Leader() uint64 {
	st := s.shard.Status()
	if st.Lead == st.ID && !st.Leads {
		return 0
	}
	return st.Lead
}

// Term is raft's, as far as this member knows.
func (s *Service) Term() uint64 { return s.shard.Status().Term }

// BrokerID is what RocketMQ calls this member: 0 while it leads, else its id in the group.
func (s *Service) BrokerID() int64 {
	if !s.grouped() || s.shard.Leads() {
		return 0
	}
	return int64(s.opts.MemberID)
}

// led is the shard's call.
func (s *Service) led(st shard.Status) {
	select {
	case s.leads.kick <- struct{}{}:
	default:
	}
	if s.opts.Led != nil {
		s.opts.Led(st)
	}
}

func (s *Service) followLeader() {
	l := &s.leads
	l.ended.Add(1)
	go func() {
		defer l.ended.Done()
		retry := time.NewTimer(0) // the shard may have told before this began
		defer retry.Stop()
		for {
			select {
			case <-l.kick:
			case <-retry.C:
			case <-l.stop:
				return
			}
			if !s.look() {
				retry.Reset(topicsRetry)
			}
		}
	}()
}

// look takes what changed; false: the system topics are still to be made.
func (s *Service) look() bool {
	l, st := &s.leads, s.shard.Status()
	if !st.Leads {
		if l.led || st.Lead != 0 {
			s.polls.release() // their clients ask again, and are answered by the leader
		}
		l.led = false
		return true
	}
	l.led = true
	if l.made == st.Term {
		return true
	}
	if err := s.makeSystemTopics(); err != nil {
		if s.shard.Leads() {
			s.opts.Log.Warn("system topics not made; it is tried again", "err", err)
		}
		return false
	}
	l.made = st.Term
	return true
}

// makeSystemTopics makes what is missing, and has the name servers told.
func (s *Service) makeSystemTopics() error {
	ctx, cancel := context.WithTimeout(context.Background(), topicsPatience)
	defer cancel()
	go func() { // a member that stops does not wait for a majority that may never be there
		select {
		case <-s.leads.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	s.topicMu.Lock()
	defer s.topicMu.Unlock()
	made, err := s.systemTopics(ctx)
	if len(made) > 0 && s.onTopic != nil {
		s.onTopic(made)
	}
	return err
}

// refuseToLead is the answer of a member that does not lead its group to what only the leader may do; nil for one that does.
func (s *Service) refuseToLead() *Error {
	if !s.grouped() || s.shard.Leads() {
		return nil
	}
	return s.refuse(shard.ErrNotLeader)
}
