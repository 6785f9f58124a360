package transport

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// PeerStatus is what is known of one peer. Counters go on over connections.
type PeerStatus struct {
	ID        uint64
	Addr      string
	Connected bool          // this node's connection to it
	Since     time.Time     // when it was connected, or was not any more
	Inbound   bool          // its connection to this node
	RoundTrip time.Duration // of the last ping; 0: none was answered
	// QueuedBytes and QueuedMessages wait in both lanes, what is being written included.
	QueuedBytes, QueuedMessages     int64
	SentBytes, SentMessages         int64
	ReceivedBytes, ReceivedMessages int64
	Dropped, Connects               int64
	LastError                       string // why the last connection failed or ended; it stays when there is a new one
	LastErrorAt                     time.Time
}

// Counts are of the transport as a whole.
type Counts struct {
	Astray    int64 // messages and asides to nodes that are no peers, dropped
	Accepted  int64 // connections whose handshake succeeded
	Refused   int64 // whose handshake did not, or that were too many
	Malformed int64 // ended for what they sent
	Reading   int64 // bytes of frames that are being read now
	Streams   int64 // that are open now, in both directions
}

type counts struct {
	astray, accepted, refused, malformed, reading atomic.Int64
}

// Counts gives the counters.
func (t *Transport) Counts() Counts {
	c := &t.counts
	t.mu.Lock()
	streams := int64(len(t.streams))
	t.mu.Unlock()
	return Counts{c.astray.Load(), c.accepted.Load(), c.refused.Load(), c.malformed.Load(), c.reading.Load(), streams}
}

// traffic is a peer's counters.
type traffic struct {
	sentBytes, sentMessages, receivedBytes, receivedMessages, dropped, connects, roundTrip atomic.Int64
}

// Peers are all peers, by node.
func (t *Transport) Peers() []PeerStatus {
	var all []PeerStatus
	for _, p := range *t.peers.Load() {
		s := p.status()
		s.Inbound = t.hears(p.id)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b PeerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (p *peer) status() PeerStatus {
	c := &p.traffic
	s := PeerStatus{
		ID: p.id, RoundTrip: time.Duration(c.roundTrip.Load()), Dropped: c.dropped.Load(), Connects: c.connects.Load(),
		SentBytes: c.sentBytes.Load(), SentMessages: c.sentMessages.Load(),
		ReceivedBytes: c.receivedBytes.Load(), ReceivedMessages: c.receivedMessages.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Addr, s.Connected, s.Since, s.LastError, s.LastErrorAt = p.addr, p.connected, p.since, p.lastError, p.lastErrorAt
	s.QueuedBytes = int64(p.raft.bytes + p.asides.bytes)
	s.QueuedMessages = int64(p.raft.messages + p.asides.messages)
	return s
}
