package grpcapi

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/metadata"
)

// Routes name all nodes, the leader first: a client whose connection breaks finds another node by itself, and calls are handed on from there. So a client may have its
// one stream to a node that does not lead, and the leader must know it all the same: to tell who is in a group, and to ask about transactions. Its stream is
// mirrored: the node that has it opens one like it to every other node, tells there what the client tells, and hands the questions that come back to the client.
const (
	mirrorQueue = 16
	mirrorPause = time.Second
	anyGroup    = "*" // the broker group for which a mirrored stream is handed on
)

// mirror opens the streams to the other nodes; they last as long as t.
func (t *stream) mirror(ctx context.Context) {
	for _, at := range t.c.s.others() {
		out := make(chan *pb.TelemetryCommand, mirrorQueue)
		t.mirrors = append(t.mirrors, out)
		go t.mirrorTo(ctx, at, out)
	}
}

// others are the other nodes' addresses.
func (s *Server) others() []string {
	if s.o.Others == nil {
		return nil
	}
	return s.o.Others()
}

// reflect tells the other nodes what the client told. One that is behind gets it with the newest settings.
func (t *stream) reflect(m *pb.TelemetryCommand) {
	for _, out := range t.mirrors {
		select {
		case out <- m:
		default:
		}
	}
}

// mirrorTo keeps a stream to one node.
func (t *stream) mirrorTo(ctx context.Context, at string, out chan *pb.TelemetryCommand) {
	for ctx.Err() == nil {
		t.mirrorOnce(ctx, at, out)
		if !pause(ctx, mirrorPause+rand.N(mirrorPause)) {
			return
		}
	}
}

func (t *stream) mirrorOnce(ctx context.Context, at string, out chan *pb.TelemetryCommand) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := t.c.s.peers.to(at, 1+int(javaHash(t.c.id)&0x7FFFFFFF)%mirrorLanes)
	if err != nil {
		return
	}
	up, err := p.Telemetry(t.c.s.asClient(ctx, t.c, anyGroup))
	if err != nil {
		return
	}
	for len(out) > 0 { // what it holds is older than the newest settings
		<-out
	}
	if settings := t.told.Load(); settings != nil {
		if up.Send(settings) != nil {
			return
		}
	}
	go func() {
		defer cancel()
		for {
			m, err := up.Recv()
			if err != nil {
				return
			}
			if m.GetSettings() == nil {
				t.put(m)
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-out:
			if m.GetSettings() != nil {
				m = t.told.Load()
			}
			if up.Send(m) != nil {
				return
			}
		}
	}
}

// beatElsewhere has the other nodes hear a client's heartbeat. One that takes long is not waited for.
func (s *Server) beatElsewhere(c *client, r *pb.HeartbeatRequest) {
	others := s.others()
	if len(others) == 0 || !c.beating.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer c.beating.Store(false)
		ctx, cancel := context.WithTimeout(s.asClient(context.Background(), c, anyGroup), groupPatience)
		defer cancel()
		var asked sync.WaitGroup
		for _, at := range others {
			if p, err := s.peers.to(at, 0); err == nil {
				asked.Go(func() { _, _ = p.Heartbeat(ctx, r) }) // the next one is seconds away
			}
		}
		asked.Wait()
	}()
}

// asClient is the context of a call that this node makes for a client of its own.
func (s *Server) asClient(ctx context.Context, c *client, broker string) context.Context {
	from := c.addr.String()
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(clientIDKey, c.id, languageKey, c.language, versionKey, c.version, relayedKey, broker, fromKey, from, markKey, s.mark(broker, c.id, from)))
}
