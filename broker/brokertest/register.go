package brokertest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Register commits and reads a consumer group's offset of one queue through all members: it never goes back behind a commit that
// was answered, and is never one that nobody asked for. A commit of unknown outcome may come late: reads of its value prove nothing.
type Register struct {
	C     *Cluster
	Group string // broker group
	Topic string
	End   func() int64 // what may be committed at most

	mu             sync.Mutex
	acked, tried   int64
	Commits, Reads int
	late           int            // reads of a commit of unknown outcome that came after newer ones
	unknown        map[int64]bool // commits of unknown outcome
	Problems       []string
	stop           chan struct{}
	done           sync.WaitGroup
}

// Start runs one committer and one reader.
func (r *Register) Start() {
	r.stop, r.unknown = make(chan struct{}), map[int64]bool{}
	r.done.Add(2)
	go r.loop(r.commit)
	go r.loop(r.read)
}

// Stop ends both.
func (r *Register) Stop() {
	close(r.stop)
	r.done.Wait()
}

func (r *Register) loop(f func(c *rpc.Client, addr string)) {
	defer r.done.Done()
	clients := map[string]*rpc.Client{}
	for {
		select {
		case <-r.stop:
			for _, c := range clients {
				c.Close()
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		n := r.C.Nodes[rand.IntN(len(r.C.Nodes))]
		addr := n.Brokers[r.Group]
		if clients[addr] == nil {
			clients[addr] = &rpc.Client{Addr: addr, Timeout: 3 * time.Second}
		}
		f(clients[addr], addr)
	}
}

func (r *Register) fields(more ...rpc.Field) []rpc.Field {
	return append([]rpc.Field{{Name: "consumerGroup", Value: "register"}, {Name: "topic", Value: r.Topic}, {Name: "queueId", Value: "0"}}, more...)
}

// commit asks for the newest offset that may be committed.
func (r *Register) commit(c *rpc.Client, _ string) {
	end := r.End()
	r.mu.Lock()
	end = max(end, r.tried)
	r.tried = end
	r.mu.Unlock()
	f, err := c.Do(wire.UpdateConsumerOffset, r.fields(rpc.Field{Name: "commitOffset", Value: strconv.FormatInt(end, 10)}), nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && f.Code == 0:
		r.acked, r.Commits = max(r.acked, end), r.Commits+1
	case err != nil || f.Code == 1:
		r.unknown[end] = true
	}
}

func (r *Register) read(c *rpc.Client, addr string) {
	r.mu.Lock()
	least := r.acked
	r.mu.Unlock()
	began := time.Now()
	f, err := c.Do(wire.QueryConsumerOffset, r.fields(), nil)
	if err != nil || f.Code != 0 {
		return // 22: none was committed yet
	}
	got, _ := f.Int("offset", -1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Reads++
	if got < least && r.unknown[got] {
		r.late++
		return
	}
	if (got < least || got > r.tried) && len(r.Problems) < 5 {
		r.Problems = append(r.Problems, fmt.Sprintf("OFFSET %s: read %d through %s at %s (%v); acked before %d, tried at most %d",
			r.Group, got, addr, began.Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), least, r.tried))
	}
}

// Final reads through every member: all say the same, not less than what was acked.
func (r *Register) Final(away map[int]string) {
	for _, n := range r.C.Nodes {
		if away[n.ID] != "" {
			continue
		}
		c := rpc.Client{Addr: n.Brokers[r.Group], Timeout: 5 * time.Second}
		f, err := c.Do(wire.QueryConsumerOffset, r.fields(), nil)
		if err == nil && r.acked > 0 {
			if got, _ := f.Int("offset", -1); got < r.acked && !r.unknown[got] || got > r.tried {
				r.Problems = append(r.Problems, fmt.Sprintf("OFFSET at the end %s: %d through node %d, code %d; acked %d", r.Group, got, n.ID, f.Code, r.acked))
			}
		}
		c.Close()
	}
}
