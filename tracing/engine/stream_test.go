package engine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/transport"
	"github.com/contrailmq/contrail/tracing/engine"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// twoNodes are a node that hosts the engine and one that reaches it over their port.
func twoNodes(t *testing.T, e *engine.Engine, served *atomic.Int64) (host, other *transport.Transport) {
	t.Helper()
	boot := func(id uint64, stream func(uint64, net.Conn)) *transport.Transport {
		n, err := transport.Start(transport.Options{
			Cluster: "test", Node: id, Incarnation: id, Listen: "127.0.0.1:0", Key: []byte("key"), Stream: stream,
			Message: func(string, *pb.Message) {}, Aside: func(string, uint64, uint8, []byte) {}, Unreachable: func(string, uint64) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		return n
	}
	host = boot(1, func(_ uint64, c net.Conn) {
		served.Add(1)
		_ = e.ServeStream(context.Background(), c)
	})
	other = boot(2, nil)
	other.SetPeers(map[uint64]string{1: host.Addr()})
	return host, other
}

func over(n *transport.Transport, to uint64) *ch.Options {
	return &ch.Options{Protocol: ch.HTTP, Addr: []string{"localhost:8123"}, MaxOpenConns: 12, MaxIdleConns: 4,
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) { return n.Dial(ctx, to) }}
}

// Another node's client works with the engine as with one of its own: large inserts and answers, many at a time.
func TestAnEngineIsReachedFromAnotherNode(t *testing.T) {
	e := enginetest.Start(t)
	var served atomic.Int64
	host, other := twoNodes(t, e, &served)
	conn, err := ch.Open(over(other, 1))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, sql := range []string{"CREATE DATABASE IF NOT EXISTS streamed", "CREATE TABLE streamed.rows (n UInt64, s String) ENGINE = MergeTree ORDER BY n"} {
		if err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = conn.Exec(ctx, "DROP DATABASE streamed"); _ = conn.Close() })
	const writers, rows = 6, 100_000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			b, err := conn.PrepareBatch(ctx, "INSERT INTO streamed.rows")
			if err != nil {
				t.Error(err)
				return
			}
			for i := range rows {
				if err := b.Append(uint64(w*rows+i), fmt.Sprint("row ", i)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := b.Send(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	answer, err := conn.Query(ctx, "SELECT n FROM streamed.rows ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(0)
	for answer.Next() {
		var n uint64
		if err := answer.Scan(&n); err != nil || n != next {
			t.Fatalf("row %d is %d: %v", next, n, err)
		}
		next++
	}
	if next != writers*rows || answer.Err() != nil {
		t.Errorf("%d rows: %v", next, answer.Err())
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(20 * time.Second); host.Counts().Streams > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are left of %d", host.Counts().Streams, served.Load())
		}
	}
}

// While the engine is down its streams end at once, and come back with it.
func TestStreamsWhileTheEngineIsAway(t *testing.T) {
	e := enginetest.New(t, t.TempDir())
	var served atomic.Int64
	_, other := twoNodes(t, e, &served)
	get := func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c, err := other.Dial(ctx, 1)
		if err != nil {
			return "", err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			return "", err
		}
		b, err := io.ReadAll(c)
		return string(b), err
	}
	if answer, err := get(); err != nil || !strings.Contains(answer, "Ok.") {
		t.Fatalf("%q %v", answer, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if answer, err := get(); strings.Contains(answer, "Ok.") || time.Since(began) > 5*time.Second {
		t.Errorf("a closed engine answered %q %v after %s", answer, err, time.Since(began))
	}
	conn, err := ch.Open(over(other, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(context.Background(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the client is not told why: %v", err)
	}
}
