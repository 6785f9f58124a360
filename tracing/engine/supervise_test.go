package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/contrailmq/contrail/tracing/engine"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// The engine is killed again and again under inserts. Every acknowledged row is there, and none twice: a client repeats an
// insert whose answer it did not get, with the same deduplication token.
func TestKilledUnderInserts(t *testing.T) {
	e := enginetest.New(t, t.TempDir())
	o := enginetest.Client(e)
	conn := connect(t, o)
	run(t, conn, "CREATE DATABASE d")
	run(t, conn, "CREATE TABLE d.t (id UInt64, name String) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000")

	const batch, kills = 1000, 4
	var acknowledged atomic.Uint64
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := uint64(0); ; {
			select {
			case <-stop:
				return
			default:
			}
			ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": fmt.Sprint("batch", n)}))
			data := native(t, sequence(n*batch, batch), func(uint64) string { return "x" })
			if err := conn.InsertFormat(ctx, "Native", "INSERT INTO d.t", bytes.NewReader(data)); err != nil {
				if err := e.Ready(context.Background()); err != nil {
					t.Error(err)
					return
				}
				continue // the same batch, the same token
			}
			n++
			acknowledged.Store(n)
		}
	})
	for range kills {
		goal := acknowledged.Load() + 25
		for acknowledged.Load() < goal {
			time.Sleep(time.Millisecond) // lets the writer come so far
		}
		pid, starts := e.Pid(), e.Starts()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for up, _ := e.Up(); !up || e.Starts() == starts; up, _ = e.Up() {
			if time.Now().After(deadline) {
				t.Fatal("not up again")
			}
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	writer.Wait()
	want := acknowledged.Load() * batch
	if n := one[uint64](t, conn, "SELECT count() FROM d.t"); n != want {
		t.Errorf("%d rows, %d acknowledged", n, want)
	}
	if n := one[uint64](t, conn, "SELECT uniqExact(id) FROM d.t"); n != want {
		t.Errorf("%d different rows, %d acknowledged", n, want)
	}
	t.Logf("%d rows acknowledged over %d kills", want, kills)
}

// An engine that does not answer any more is found out by the pings, and a fresh one takes its place.
func TestHangingEngineIsReplaced(t *testing.T) {
	lib, self := library(t)
	e, err := engine.Start(context.Background(), engine.Options{
		Library: lib, Dir: t.TempDir(), Sockets: shortDir(t), Command: []string{self},
	}.WithPings(50*time.Millisecond, 500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	pid := e.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for up, _ := e.Up(); !up || e.Pid() == pid; up, _ = e.Up() {
		if time.Now().After(deadline) {
			t.Fatal("it is not replaced")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// library gives the engine's library and this test binary.
func library(t *testing.T) (lib, self string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	lib, err := enginetest.Library()
	if err != nil {
		t.Fatal(err)
	}
	self, err = os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return lib, self
}

// What was written is there after an orderly end, and nothing of the engine outlives Close.
func TestCloseAndStartAgain(t *testing.T) {
	dir := t.TempDir()
	e := enginetest.New(t, dir)
	conn := connect(t, enginetest.Client(e))
	run(t, conn, "CREATE DATABASE d")
	run(t, conn, "CREATE TABLE d.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO d.t VALUES (7)")
	pid := e.Pid()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child outlives Close: %v", err)
	}
	if _, err := e.Dial(context.Background()); !errors.Is(err, engine.ErrDown) {
		t.Errorf("dial of a closed engine: %v", err)
	}
	if up, reason := e.Up(); up || reason != "closed" {
		t.Errorf("%v, %q", up, reason)
	}
	if err := e.Ready(context.Background()); !errors.Is(err, engine.ErrDown) {
		t.Errorf("%v", err)
	}
	again := connect(t, enginetest.Client(enginetest.New(t, dir)))
	if n := one[uint64](t, again, "SELECT sum(id) FROM d.t"); n != 7 {
		t.Errorf("%d", n)
	}
}

// One data folder has one engine: a second is refused with the reason, and goes on trying.
func TestSecondEngineOnTheSameData(t *testing.T) {
	dir := t.TempDir()
	enginetest.New(t, dir)
	lib, self := library(t)
	sockets := shortDir(t)
	second, err := engine.Start(context.Background(), engine.Options{Library: lib, Dir: filepath.Join(dir, "data"), Sockets: sockets, Command: []string{self}})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	awaitReason(t, second, "refused to open its data")
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func awaitReason(t *testing.T, e *engine.Engine, want string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		up, reason := e.Up()
		if up {
			t.Fatal("up")
		}
		if strings.Contains(reason, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q, want %q", reason, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// What keeps an engine from starting is said, by Up and by Ready.
func TestEngineThatCannotStart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		library string
		command []string
		want    string
	}{
		"no library":    {"/nowhere/libchdb.so", []string{self}, "/nowhere/libchdb.so"},
		"other library": {"libm.so.6", []string{self}, "not the engine this build knows"},
		"no command":    {"x", []string{"/nowhere/contrail"}, "/nowhere/contrail"},
		"other command": {"x", []string{"true"}, "ended before it was ready"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := engine.Start(context.Background(), engine.Options{Library: c.library, Dir: t.TempDir(), Sockets: shortDir(t), Command: c.command})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			awaitReason(t, e, c.want)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			if err := e.Ready(ctx); !errors.Is(err, engine.ErrDown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	}
	_, err = engine.Start(context.Background(), engine.Options{Sockets: "/" + strings.Repeat("x", 120)})
	for _, want := range []string{"no library", "no data folder", "no command", "socket"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
}

// A parent that is killed takes its child with it: the data folder must be free for the next one.
func TestChildDiesWithItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("child %d: %v", pid, err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatal("the child lives on")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive reports whether a process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	after := string(stat[bytes.LastIndexByte(stat, ')')+1:])
	return !strings.HasPrefix(after, " Z") && !strings.HasPrefix(after, " X")
}

// parentEnv makes the test binary a parent of an engine, in the folder it names.
const parentEnv = "ENGINE_TEST_PARENT"

func beParent(dir string) {
	e, err := func() (*engine.Engine, error) {
		lib, err := enginetest.Library()
		if err != nil {
			return nil, err
		}
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		_ = os.Unsetenv(parentEnv)
		return engine.Start(context.Background(), engine.Options{Library: lib, Dir: filepath.Join(dir, "data"), Sockets: dir, Command: []string{self}})
	}()
	if err == nil {
		err = e.Ready(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(e.Pid())
	select {}
}

// The child gives way to the broker: for the processor, and when memory runs out.
func TestChildIsHumble(t *testing.T) {
	e := enginetest.Start(t)
	pid := strconv.Itoa(e.Pid())
	threads, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		prio, err := syscall.Getpriority(syscall.PRIO_PROCESS, id)
		if err != nil {
			continue // ended meanwhile
		}
		comm, _ := os.ReadFile("/proc/" + pid + "/task/" + thread.Name() + "/comm")
		if string(comm) == "MemoryWorker\n" {
			continue // ClickHouse raises it as far as it is let: it watches the memory limit, and does nothing else
		}
		if nice := 20 - prio; nice < 10 {
			t.Errorf("thread %d of %d has niceness %d", id, len(threads), nice)
		}
	}
	if score, err := os.ReadFile("/proc/" + pid + "/oom_score_adj"); err != nil || strings.TrimSpace(string(score)) != "500" {
		t.Errorf("oom_score_adj %q, %v", score, err)
	}
}
