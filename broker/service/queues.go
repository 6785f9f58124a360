package service

import "github.com/contrailmq/contrail/broker/catalog"

// CheckQueues refuses what would leave messages unread: fewer read queues than write queues, or the end of queues that are written
// still or that a group has not read. RocketMQ's own tools do not look; those that ask for it get it.
func (s *Service) CheckQueues(t catalog.Topic) *Error {
	if t.ReadQueues < t.WriteQueues {
		return Refuse(CodeInvalidParameter, "topic[%s]: %d read and %d write queues: what goes to queue %d would not be read; reduce the write queues first", t.Name, t.ReadQueues, t.WriteQueues, t.ReadQueues)
	}
	old, ok := s.Topic(t.Name)
	if !ok || t.ReadQueues >= old.ReadQueues {
		return nil
	}
	if old.WriteQueues > t.ReadQueues {
		return Refuse(CodeInvalidParameter, "topic[%s]: %d of its %d write queues would go while producers know them: reduce the write queues to %d first, and the read queues when they are read", t.Name, old.WriteQueues-t.ReadQueues, old.WriteQueues, t.ReadQueues)
	}
	for _, name := range s.TopicGroups(t.Name) {
		g, _ := s.InspectGroup(name)
		for _, q := range g.Queues {
			if q.Topic == t.Name && q.QueueID >= t.ReadQueues && q.Lag > 0 {
				return Refuse(CodeInvalidParameter, "topic[%s]: group %s has not read %d messages of queue %d: wait until it has", t.Name, name, q.Lag, q.QueueID)
			}
		}
	}
	return nil
}
