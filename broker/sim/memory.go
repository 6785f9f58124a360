package sim

import "github.com/contrailmq/contrail/broker/shard"

// What waits in a member's memory is bounded (P9). The clients here never send so much that anything is refused for it, so the
// bounds are those of a usual run, far below the shard's own limits: a list that grows without end passes them soon.
const (
	heldListMax  = 5000
	heldBytesMax = 16 << 20
	heldPoolMax  = 64
	heldTimedMax = 4096 // half of them in a usual run would be much
	eventsWait   = 50_000
)

func (w *world) checkMemory(m *member) {
	h := m.shard.Held()
	if h.Bytes > shard.HeldBytes || h.Heard > shard.HeldHeard {
		w.violate("%s holds more than its limits: %+v", m, h)
	}
	lists := max(h.Pending, h.Commands, h.Readers, h.Asides, h.Messages)
	if lists > heldListMax || max(h.Bytes, h.Heard) > heldBytesMax || max(h.Buffers, h.Proposals, h.Inflight, h.Needs) > heldPoolMax {
		w.violate("%s holds more than such a run can need: %+v", m, h)
	}
	if h.Timed > heldTimedMax {
		w.violate("%s found %d messages to fire or to roll", m, h.Timed)
	}
	if h.Bytes < 0 || h.Heard < 0 {
		w.violate("%s counts what it holds wrongly: %+v", m, h)
	}
	if len(w.events) > eventsWait {
		w.violate("%d events wait", len(w.events))
	}
}
