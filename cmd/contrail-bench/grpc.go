package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// grpcRun is the gRPC mode: the protocol of RocketMQ 5 clients, beside a bare gRPC server that decodes the same request and answers.
type grpcRun struct {
	settings
	peerBroker string // where the peer's topic is made
}

const (
	grpcConns    = 4
	grpcInFlight = 64
	grpcBatch    = 32

	grpcReceivers = 4 // calls under way of each connection
	grpcGroups    = 8
	grpcTopic     = "bench_grpc"
)

func grpcCommand() *cobra.Command {
	var s grpcRun
	c := &cobra.Command{
		Use: "grpc", Short: "RocketMQ 5's protocol, page cache, 1 KB: unary sends of 4 connections with 64 in flight beside a bare gRPC server; receive 32 and one ack for all", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.OutOrStdout()) },
	}
	c.Flags().StringVar(&s.contrail, "contrail", "bin/contrail", "the program to measure")
	c.Flags().StringVar(&s.peer, "peer", "", "gRPC address of another broker that is running already")
	c.Flags().IntVar(&s.peerPID, "peer-pid", 0, "its process")
	c.Flags().IntSliceVar(&s.peerOthers, "peer-others", nil, "processes whose CPU counts, too: its broker, if the address is a proxy's")
	c.Flags().StringVar(&s.peerBroker, "peer-broker", "", "remoting address of the peer's broker, where the topic is made")
	c.Flags().IntVar(&s.pairs, "pairs", 5, "windows of each target, in turn")
	c.Flags().DurationVar(&s.warm, "warm", 3*time.Second, "unmeasured stretch before each window")
	c.Flags().DurationVar(&s.window, "window", 10*time.Second, "measured stretch")
	c.Flags().Int64Var(&s.touchGiB, "touch", 0, "GiB of free memory to touch before each window")
	return c
}

func grpcFloorCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{Use: "grpc-floor", Short: "Serve as the floor of gRPC", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		s := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
		pb.RegisterMessagingServiceServer(s, bareServer{})
		return s.Serve(l)
	}}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address")
	return c
}

// bareServer answers what it was sent, and keeps nothing.
type bareServer struct {
	pb.UnimplementedMessagingServiceServer
}

// SendMessage answers OK for each message.
func (bareServer) SendMessage(_ context.Context, r *pb.SendMessageRequest) (*pb.SendMessageResponse, error) {
	ok := &pb.Status{Code: pb.Code_OK, Message: "OK"}
	a := &pb.SendMessageResponse{Status: ok}
	for _, m := range r.GetMessages() {
		a.Entries = append(a.Entries, &pb.SendResultEntry{Status: ok, MessageId: m.GetSystemProperties().GetMessageId(), TransactionId: m.GetSystemProperties().GetMessageId()})
	}
	return a, nil
}

func (s *grpcRun) run(out io.Writer) error {
	if s.peer != "" && (s.peerPID == 0 || s.peerBroker == "") {
		return errors.New("--peer needs --peer-pid and --peer-broker")
	}
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	targets, err := s.targets(dir)
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	if err != nil {
		return err
	}
	send := &row{Scenario: "g1", Text: "gRPC send, page cache: 4 connections, 64 in flight each, 1 KB", Windows: map[string][]window{}}
	receive := &row{Scenario: "g2", Text: "gRPC receive 32 and one ack for all, of what was sent before", Windows: map[string][]window{}}
	for _, t := range targets {
		send.order = append(send.order, t.name)
		if t.name != "floor" {
			receive.order = append(receive.order, t.name)
		}
	}
	for range s.pairs {
		if err := s.windows(targets, send, receive); err != nil {
			return err
		}
	}
	send.print(out)
	receive.print(out)
	c := func(r *row) []float64 { return pick(r.Windows["contrail"], cpu) }
	fmt.Fprintf(out, "  a received and acknowledged message / a sent one: %.2f of the CPU\n", median(c(receive))/median(c(send)))
	return nil
}

// windows measures each target once, sending and receiving.
func (s *grpcRun) windows(targets []*target, send, receive *row) error {
	for _, t := range targets {
		if err := touchMemory(s.touchGiB << 30); err != nil {
			return err
		}
		w, err := s.measure(t, grpcSend)
		if err != nil {
			return err
		}
		send.Windows[t.name] = append(send.Windows[t.name], w)
		if t.name == "floor" {
			continue
		}
		if w, err = s.measure(t, grpcReceive); err != nil {
			return err
		}
		receive.Windows[t.name] = append(receive.Windows[t.name], w)
	}
	return nil
}

func (s *grpcRun) targets(dir string) (all []*target, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	conf, broker, err := writeConfig(dir, "contrail", pageCache, "off")
	if err == nil {
		err = listenGRPC(conf, addr)
	}
	if err != nil {
		return nil, err
	}
	t, err := spawn("contrail", dir, addr, s.contrail, "serve", "--config", conf)
	if err != nil {
		return nil, err
	}
	all = append(all, t)
	if err = createTopic(broker, grpcTopic, queues); err != nil {
		return all, err
	}
	if addr, err = freeAddr(); err != nil {
		return all, err
	}
	self, err := os.Executable()
	if err != nil {
		return all, err
	}
	if t, err = spawn("floor", dir, addr, self, "grpc-floor", "--listen", addr); err != nil {
		return all, err
	}
	all = append(all, t)
	if s.peer != "" {
		all = append(all, &target{name: "peer", addr: s.peer, pid: s.peerPID, others: s.peerOthers, stop: func() {}})
		err = createTopic(s.peerBroker, grpcTopic, queues)
	}
	return all, err
}

// listenGRPC opens the port that other scenarios leave closed.
func listenGRPC(conf, addr string) error {
	b, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	return os.WriteFile(conf, []byte(strings.Replace(string(b), `grpc: {listen: ""}`, fmt.Sprintf("grpc: {listen: %q, advertise: %q}", addr, addr), 1)), 0o644)
}

// measure lets f run for a stretch and a window.
func (s *grpcRun) measure(t *target, f func(*grpcLoad)) (window, error) {
	l := &grpcLoad{target: t, stop: make(chan struct{})}
	if err := l.dial(); err != nil {
		return window{}, err
	}
	defer l.close()
	var running sync.WaitGroup
	running.Go(func() { f(l) })
	time.Sleep(s.warm)
	before, err := read(t.pid, t.others...)
	if err != nil {
		return window{}, err
	}
	l.measuring.Store(true)
	time.Sleep(s.window)
	l.measuring.Store(false)
	after, err := read(t.pid, t.others...)
	close(l.stop)
	running.Wait()
	if err == nil {
		err = l.err
	}
	if err != nil {
		return window{}, fmt.Errorf("%s: %w", t.name, err)
	}
	return newWindow(t.name, &l.result, before, after), nil
}

// grpcLoad is the clients of one target.
type grpcLoad struct {
	target    *target
	conns     []*grpc.ClientConn
	clients   []pb.MessagingServiceClient
	measuring atomic.Bool
	stop      chan struct{}
	mu        sync.Mutex
	result    result
	err       error
}

func (l *grpcLoad) dial() error {
	for i := range grpcConns {
		c, err := grpc.NewClient(l.target.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			return err
		}
		l.conns, l.clients = append(l.conns, c), append(l.clients, pb.NewMessagingServiceClient(c))
		if err := l.introduce(i); err != nil && l.target.name != "floor" {
			return err
		}
	}
	return nil
}

// introduce tells a consumer's settings, which a receive needs; its stream stays open.
func (l *grpcLoad) introduce(i int) error {
	stream, err := l.clients[i].Telemetry(l.as(i))
	if err != nil {
		return err
	}
	kind := pb.ClientType_SIMPLE_CONSUMER
	if err := stream.Send(&pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: &pb.Settings{
		ClientType: &kind, RequestTimeout: durationpb.New(3 * time.Second), PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: &pb.Resource{Name: "bench_grpc_group"}}},
	}}}); err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func (l *grpcLoad) as(i int) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "x-mq-client-id", fmt.Sprintf("bench@%d@%d", os.Getpid(), i), "x-mq-language", "JAVA", "x-mq-client-version", "5.1.0", "x-mq-protocol", "v2")
}

func (l *grpcLoad) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// each runs f again and again, several at a time over each connection.
func (l *grpcLoad) each(inFlight int, f func(ctx context.Context, c pb.MessagingServiceClient) (int, error)) {
	var running sync.WaitGroup
	for i, c := range l.clients {
		for range inFlight {
			running.Go(func() {
				ctx := l.as(i)
				for {
					select {
					case <-l.stop:
						return
					default:
					}
					began := time.Now()
					n, err := f(ctx, c)
					if !l.count(n, time.Since(began), err) {
						return
					}
				}
			})
		}
	}
	running.Wait()
}

func (l *grpcLoad) count(n int, took time.Duration, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = err
		return false
	}
	if l.measuring.Load() && n > 0 {
		l.result.messages += uint64(n)
		l.result.latencies.add(took)
	}
	return true
}

func grpcSend(l *grpcLoad) {
	body := make([]byte, 1024)
	for i := range body {
		body[i] = byte('a' + i%26)
	}
	topic := &pb.Resource{Name: grpcTopic}
	l.each(grpcInFlight, func(ctx context.Context, c pb.MessagingServiceClient) (int, error) {
		r, err := c.SendMessage(ctx, &pb.SendMessageRequest{Messages: []*pb.Message{{Topic: topic, Body: body, SystemProperties: &pb.SystemProperties{
			MessageId: fmt.Sprintf("01BE%028X", keys.Add(1)), MessageType: pb.MessageType_NORMAL, BodyEncoding: pb.Encoding_IDENTITY, BornTimestamp: timestamppb.Now(), BornHost: "bench",
			BodyDigest: &pb.Digest{Type: pb.DigestType_CRC32, Checksum: "00000000"},
		}}}})
		if err == nil && r.GetStatus().GetCode() != pb.Code_OK {
			err = fmt.Errorf("send: %v", r.GetStatus())
		}
		return 1, err
	})
}

// grpcReceive: several groups, so that none of them has had all messages before the window ends.
func grpcReceive(l *grpcLoad) {
	topic := &pb.Resource{Name: grpcTopic}
	var turn atomic.Int64
	l.each(grpcReceivers, func(ctx context.Context, c pb.MessagingServiceClient) (int, error) {
		group := &pb.Resource{Name: fmt.Sprint("bench_grpc_", turn.Add(1)%grpcGroups)}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		stream, err := c.ReceiveMessage(ctx, &pb.ReceiveMessageRequest{
			Group: group, MessageQueue: &pb.MessageQueue{Topic: topic, Broker: &pb.Broker{Name: "broker-a"}}, BatchSize: grpcBatch, InvisibleDuration: durationpb.New(time.Minute),
			FilterExpression: &pb.FilterExpression{Type: pb.FilterType_TAG, Expression: "*"}, LongPollingTimeout: durationpb.New(5 * time.Second),
		})
		if err != nil {
			return 0, err
		}
		ack := &pb.AckMessageRequest{Group: group, Topic: topic}
		for {
			a, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return 0, err
			}
			if st := a.GetStatus(); st != nil && st.GetCode() != pb.Code_OK && st.GetCode() != pb.Code_MESSAGE_NOT_FOUND {
				return 0, fmt.Errorf("receive: %v", st)
			}
			if sp := a.GetMessage().GetSystemProperties(); sp != nil {
				ack.Entries = append(ack.Entries, &pb.AckMessageEntry{MessageId: sp.GetMessageId(), ReceiptHandle: sp.GetReceiptHandle()})
			}
		}
		if len(ack.Entries) == 0 {
			return 0, nil
		}
		r, err := c.AckMessage(ctx, ack)
		if err == nil && r.GetStatus().GetCode() != pb.Code_OK {
			err = fmt.Errorf("ack: %v", r.GetStatus())
		}
		return len(ack.Entries), err
	})
}
