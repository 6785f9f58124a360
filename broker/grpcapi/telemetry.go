package grpcapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/contrailmq/contrail/broker/service"
)

// stream is a client's telemetry stream: how it tells its settings, and how it is asked.
type stream struct {
	c      *client
	direct bool // the client's own; else another node's mirror of one
	send   chan *pb.TelemetryCommand
	done   chan struct{}
	once   sync.Once

	told    atomic.Pointer[pb.TelemetryCommand] // the newest settings, as mirrors get them
	mirrors []chan *pb.TelemetryCommand         // to the other nodes

	mu   sync.Mutex
	asks map[string]func(*pb.TelemetryCommand) // by nonce
}

const (
	streamQueue = 256 // commands that wait to be sent to one client
	asksMax     = 64  // questions to one client without an answer
	streamsOf   = 64  // streams of one client: one to each node that others mirror, and those whose end was not seen yet
	askPatience = 10 * time.Second
)

// Telemetry: a stream of TelemetryCommand both ways. A client's first command must be its settings, which are answered with what the broker adds;
// it sends them anew every five minutes and when its subscriptions change. The broker asks over it: recover a transaction, verify a message, print
// stacks. INVALID_ARGUMENT ends the stream of a client whose settings say neither what it publishes nor what it subscribes to.
func (s *Server) Telemetry(g grpc.BidiStreamingServer[pb.TelemetryCommand, pb.TelemetryCommand]) error {
	c, st := s.caller(g.Context())
	if st != nil {
		return status.Error(codes.InvalidArgument, st.GetMessage())
	}
	if n := c.telemetry.Add(1); n > streamsOf {
		c.telemetry.Add(-1)
		return status.Errorf(codes.ResourceExhausted, "client %s has %d telemetry streams, which is the limit", c.id, streamsOf)
	}
	defer c.telemetry.Add(-1)
	t := &stream{c: c, direct: !s.relayed(g.Context()), send: make(chan *pb.TelemetryCommand, streamQueue), done: make(chan struct{}), asks: map[string]func(*pb.TelemetryCommand){}}
	defer t.end()
	received := make(chan error, 1)
	go func() { received <- t.receive(g) }()
	for {
		select {
		case m := <-t.send:
			if err := g.Send(m); err != nil {
				return err
			}
		case err := <-received:
			return t.rest(g, err)
		case <-s.stop: // it is to go to another node
			return nil
		}
	}
}

// rest sends what was answered before the stream ended.
func (t *stream) rest(g grpc.BidiStreamingServer[pb.TelemetryCommand, pb.TelemetryCommand], err error) error {
	for {
		select {
		case m := <-t.send:
			if sent := g.Send(m); sent != nil {
				return sent
			}
		default:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (t *stream) receive(g grpc.BidiStreamingServer[pb.TelemetryCommand, pb.TelemetryCommand]) error {
	for {
		m, err := g.Recv()
		if err != nil {
			return err
		}
		t.c.seen.Store(time.Now().UnixMilli())
		switch k := m.GetCommand().(type) {
		case *pb.TelemetryCommand_Settings:
			first := t.told.Load() == nil
			if err := t.settings(g.Context(), m); err != nil {
				return err
			}
			if first && t.direct {
				t.mirror(g.Context())
			}
		case *pb.TelemetryCommand_ThreadStackTrace:
			t.answered(k.ThreadStackTrace.GetNonce(), m)
		case *pb.TelemetryCommand_VerifyMessageResult:
			t.answered(k.VerifyMessageResult.GetNonce(), m)
		}
		t.reflect(m)
	}
}

// settings takes what a client tells of itself, has its groups made, and answers.
func (t *stream) settings(from context.Context, m *pb.TelemetryCommand) error {
	c, told := t.c, m.GetSettings()
	if st := c.s.checkSettings(told); st != nil {
		return status.Error(codes.InvalidArgument, "process client telemetryCommand failed. "+st.GetMessage())
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupPatience)
	defer cancel()
	if sub := told.GetSubscription(); sub != nil {
		c.s.ensureGroup(ctx, nameOf(sub.GetGroup()))
	}
	answer, at := t.answerSettings(m)
	t.told.Store(asMirrored(answer, at))
	c.mu.Lock()
	if t.direct || c.shown == nil || at >= c.shown.GivenAt && !c.hasDirectLocked() { // a mirror that comes late knows less than the client's own stream
		c.settings, c.shown = answer, shown(answer, at)
		c.shown.AccessKey = accessKeyOf(from)
	}
	select {
	case <-t.done: // it ended meanwhile
		c.mu.Unlock()
		return nil
	default:
	}
	if !slices.Contains(c.streams, t) {
		c.streams = append(c.streams, t)
	}
	c.mu.Unlock()
	c.beat()
	t.put(&pb.TelemetryCommand{Status: statusOK, Command: &pb.TelemetryCommand_Settings{Settings: answer}})
	return nil
}

// answerSettings gives what the client is answered, and when it was, ms. Another node's mirror tells both: the client works by the answer of the node
// that it talks to, whatever this one would have said.
func (t *stream) answerSettings(m *pb.TelemetryCommand) (answer *pb.Settings, at int64) {
	if at, err := strconv.ParseInt(m.GetStatus().GetMessage(), 10, 64); err == nil && !t.direct {
		return m.GetSettings(), at
	}
	return t.c.s.answerSettings(m.GetSettings()), time.Now().UnixMilli()
}

// asMirrored is settings for another node: as they were answered, with the time in the status, which is of no other use there.
func asMirrored(answer *pb.Settings, at int64) *pb.TelemetryCommand {
	return &pb.TelemetryCommand{
		Status: &pb.Status{Code: pb.Code_OK, Message: strconv.FormatInt(at, 10)}, Command: &pb.TelemetryCommand_Settings{Settings: answer},
	}
}

// put queues a command; a client that takes none is not waited for.
func (t *stream) put(m *pb.TelemetryCommand) bool {
	select {
	case t.send <- m:
		return true
	case <-t.done:
		return false
	default:
		return false
	}
}

// end is the end of the stream: nobody who waits for an answer waits longer.
func (t *stream) end() {
	t.once.Do(func() { close(t.done) })
	t.c.mu.Lock()
	i := slices.Index(t.c.streams, t)
	last := i >= 0 && len(t.c.streams) == 1
	if i >= 0 {
		t.c.streams = slices.Delete(t.c.streams, i, i+1)
	}
	if last {
		t.c.leaveLocked(time.Now().UnixMilli())
	}
	t.c.mu.Unlock()
	t.mu.Lock()
	asks := t.asks
	t.asks = nil
	t.mu.Unlock()
	for _, f := range asks {
		f(nil)
	}
	if last {
		t.c.s.renewals.drop(t.c)
	}
}

// ask sends a command with a nonce; done is called once, with nil when there is no answer.
func (c *client) ask(command func(nonce string) *pb.TelemetryCommand, done func(*pb.TelemetryCommand)) {
	t := c.stream()
	if t == nil {
		done(nil)
		return
	}
	nonce := newNonce()
	t.mu.Lock()
	full := t.asks == nil || len(t.asks) >= asksMax
	if !full {
		t.asks[nonce] = done
	}
	t.mu.Unlock()
	if full {
		done(nil)
		return
	}
	if !t.put(command(nonce)) {
		t.answered(nonce, nil)
		return
	}
	time.AfterFunc(askPatience, func() { t.answered(nonce, nil) })
}

func (t *stream) answered(nonce string, m *pb.TelemetryCommand) {
	t.mu.Lock()
	done := t.asks[nonce]
	delete(t.asks, nonce)
	t.mu.Unlock()
	if done != nil {
		done(m)
	}
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Check implements service.Checker: the producer is asked what became of a transaction; its answer is an EndTransaction.
func (c *client) Check(k *service.Check) {
	m, err := messageOf(k.Message)
	if err != nil {
		return
	}
	if t := c.stream(); t != nil {
		t.put(&pb.TelemetryCommand{Status: statusOK, Command: &pb.TelemetryCommand_RecoverOrphanedTransactionCommand{
			RecoverOrphanedTransactionCommand: &pb.RecoverOrphanedTransactionCommand{Message: m, TransactionId: k.UniqKey},
		}})
	}
}
