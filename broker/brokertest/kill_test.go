package brokertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/broker/message"
)

const loadTopic = "load"

// trail is a connection to the process's embedded engine, only to read.
func (p *Process) trail(t *testing.T) driver.Conn {
	t.Helper()
	socket := filepath.Join(p.Dir, "data", "trail", "run", "engine-ro.sock")
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{"engine:80"}, Auth: clickhouse.Auth{Database: "contrail"},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// count asks for one number; false while the engine does not answer.
func count(conn driver.Conn, query string, args ...any) (uint64, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var n uint64
	err := conn.QueryRow(ctx, query, args...).Scan(&n)
	return n, err == nil
}

// shipped waits until the trail holds want messages of the load's topic, and no message twice.
func shipped(t *testing.T, p *Process, want int64) {
	t.Helper()
	conn := p.trail(t)
	var n uint64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got, ok := count(conn, "SELECT count() FROM messages WHERE topic = ?", loadTopic); ok {
			if n = got; n >= uint64(want) {
				break
			}
		}
	}
	distinct, _ := count(conn, "SELECT uniqExact(queue_id, queue_offset) FROM messages WHERE topic = ?", loadTopic)
	if n != uint64(want) || distinct != n {
		t.Fatalf("the trail has %d rows for %d places; the broker has %d messages", n, distinct, want)
	}
	lost, _ := count(conn, "SELECT sum(not_recorded) FROM ship_log")
	if lost != 0 {
		t.Fatalf("%d rows are said to be not recorded", lost)
	}
}

// check reads all queues: every acknowledged message is where its answer said, nothing was invented.
func check(t *testing.T, p *Process, l *Load, acked []Acked) (total int64) {
	t.Helper()
	where := map[[2]int64]string{}
	for _, a := range acked {
		where[[2]int64{a.Queue, a.Offset}] = a.ID
	}
	for queue := range int64(Queues) {
		n, err := Drain(p.Broker, l.Topic, queue, func(v message.View) error {
			id, k := string(message.Property(v.Properties(), message.PropUniqKey)), [2]int64{queue, v.QueueOffset()}
			if !strings.HasPrefix(id, "7F00000100002A9F") {
				return fmt.Errorf("message %q was never sent", id)
			}
			if want, ok := where[k]; ok && want != id {
				return fmt.Errorf("queue %d offset %d holds %s; the answer said %s", queue, v.QueueOffset(), id, want)
			}
			delete(where, k)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if len(where) > 0 {
		t.Fatalf("%d of %d acknowledged messages are lost", len(where), len(acked))
	}
	return total
}

// TestKillNineUnderLoad kills the broker twenty times under load: no acknowledged message is lost, offsets are dense, and the
// trail is complete after the last recovery.
func TestKillNineUnderLoad(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	p := Start(t, Options{Trail: "embedded"})
	l := &Load{Addr: p.Broker, Topic: loadTopic, Conns: 16}
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for round := range rounds {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() { l.Run(stop); close(done) }()
		time.Sleep(200*time.Millisecond + time.Duration(rng.IntN(500))*time.Millisecond)
		p.Kill()
		close(stop)
		<-done
		p.Run()
		if round%5 == 4 || round == rounds-1 {
			check(t, p, l, l.Acked())
		}
	}
	total := check(t, p, l, l.Acked())
	shipped(t, p, total)
	t.Logf("%d rounds: %d sent, %d acknowledged, %d stored and in the trail", rounds, l.Sent(), len(l.Acked()), total)
}

// TestEngineKilledUnderLoad kills the trail's engine again and again: the broker goes on, and the trail is complete afterwards.
func TestEngineKilledUnderLoad(t *testing.T) {
	p := Start(t, Options{Trail: "embedded"})
	l := &Load{Addr: p.Broker, Topic: loadTopic, Conns: 8}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { l.Run(stop); close(done) }()
	for range 4 {
		pid := engineOf(t, p.Pid())
		before := len(l.Acked())
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); len(l.Acked()) < before+500; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the broker stands still while the engine is away")
			}
		}
	}
	close(stop)
	<-done
	shipped(t, p, check(t, p, l, l.Acked()))
}

// engineOf finds the child that is the engine.
func engineOf(t *testing.T, parent int) int {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command("pgrep", "-P", strconv.Itoa(parent)).Output()
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.Fields(string(out))[0]); err == nil {
			return pid
		}
	}
	t.Fatal("the process has no engine")
	return 0
}

// TestOrderlyStopAnswersWhatWasAsked: with SIGTERM under load nothing is stored whose sender was not told.
func TestOrderlyStopAnswersWhatWasAsked(t *testing.T) {
	p := Start(t, Options{})
	l := &Load{Addr: p.Broker, Topic: loadTopic, Conns: 16}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { l.Run(stop); close(done) }()
	for end := time.Now().Add(20 * time.Second); len(l.Acked()) < 2000; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no load")
		}
	}
	p.Stop()
	close(stop)
	<-done
	p.Run()
	if total := check(t, p, l, l.Acked()); total != int64(len(l.Acked())) {
		t.Fatalf("%d messages are stored, %d were acknowledged", total, len(l.Acked()))
	}
}
