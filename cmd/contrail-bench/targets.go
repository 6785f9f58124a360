package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// target is a server under load.
type target struct {
	name string
	addr string
	pid  int
	stop func()

	others []int // processes whose CPU counts, too

	consumed [queues]atomic.Int64 // offsets of the bench's own consumer
}

// mode is when a server acknowledges.
type mode string

const (
	pageCache mode = "page-cache"
	synced    mode = "fdatasync"
)

var givenOut sync.Map // addresses

// freeAddr is a port of which the kernel makes no outgoing connection's, or it might be taken before a server listens there.
func freeAddr() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		if _, taken := givenOut.LoadOrStore(addr, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port from 12000 to 30000")
}

// waitFor dials until somebody accepts.
func waitFor(addr string, patience time.Duration) error {
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens at %s after %s: %w", addr, patience, err)
}

// spawn starts a server as a child; its log goes to a file in dir.
func spawn(name, dir, addr string, argv ...string) (*target, error) {
	logFile, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &target{name: name, addr: addr, pid: cmd.Process.Pid}
	t.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := waitFor(addr, 60*time.Second); err != nil {
		t.stop()
		b, _ := os.ReadFile(logFile.Name())
		return nil, errors.Join(err, fmt.Errorf("%s wrote: %s", name, b))
	}
	return t, nil
}

func startFloor(dir string, m mode) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return spawn("floor", dir, addr, self, "floor", "--listen", addr, "--dir", filepath.Join(dir, "floor"), fmt.Sprintf("--sync=%t", m == synced))
}

// startContrail runs the given binary as a single node without console; trail is its --trail setting.
func startContrail(binary, dir, name string, m mode, trail string) (*target, error) {
	conf, addr, err := writeConfig(dir, name, m, trail)
	if err != nil {
		return nil, err
	}
	return spawn(name, dir, addr, binary, "serve", "--config", conf)
}

func writeConfig(dir, name string, m mode, trail string) (file, addr string, err error) {
	var addrs [3]string
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return "", "", err
		}
	}
	roles := "[namesrv, broker]"
	if trail != "off" {
		roles = "[namesrv, broker, console]"
	}
	file = filepath.Join(dir, name+".yaml")
	text := fmt.Sprintf("dir: %s\nroles: %s\nnameServer: {listen: %q}\nremoting: {listen: %q, advertise: %q}\ngrpc: {listen: \"\"}\nconsole: {listen: %q}\nlog: {ack: %s, keepFor: 24h, keepBytes: 8589934592}\ntrail: {engine: %q}\n",
		filepath.Join(dir, name), roles, addrs[0], addrs[1], addrs[1], addrs[2], m, trail)
	return file, addrs[1], os.WriteFile(file, []byte(text), 0o644)
}
