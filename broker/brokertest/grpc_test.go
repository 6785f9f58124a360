package brokertest

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestGRPCClients runs the unmodified clients of RocketMQ 5, with TLS and without: their topics and groups are made as a person would make them.
func TestGRPCClients(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Maven and several minutes")
	}
	for version, tls := range map[string]bool{"5.1.0": true, "5.0.7": false} {
		classpath := buildMaven(t, "grpcjava", version)
		t.Run("java-"+version, func(t *testing.T) {
			t.Parallel() // they mostly wait for what is due
			p := startGRPC(t)
			Client(t, 4*time.Minute, "java", "-Xmx256m", "-Duser.home="+t.TempDir(), "-cp", classpath, "contrail.GrpcSuite", p.GRPC, p.NameServer, "t-", strconv.FormatBool(tls))
		})
	}
	t.Run("go-5.1.4", func(t *testing.T) {
		t.Parallel()
		program := filepath.Join(t.TempDir(), "grpcclient")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir = "grpcclient"
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		p := startGRPC(t)
		Client(t, 4*time.Minute, program, p.GRPC, "all", "t-")
	})
}

// startGRPC is a node with the topics and groups of the clients' scenarios.
func startGRPC(t *testing.T) *Process {
	t.Helper()
	p := Start(t, Options{Extra: "transactions: {timeout: 2s, checkInterval: 2s}\n"})
	for _, args := range [][]string{
		{"topic", "create", "t-normal"}, {"topic", "create", "t-fifo", "--type", "fifo"}, {"topic", "create", "t-delay", "--type", "delay"}, {"topic", "create", "t-txn", "--type", "transaction"},
		{"group", "create", "t-g-fifo", "--ordered"}, {"group", "create", "t-g-push", "--max-retries", "2", "--backoff", "1s,2s"},
	} {
		if out, err := exec.Command(Binary(t), append(args, "--broker", p.Broker)...).CombinedOutput(); err != nil {
			t.Fatalf("contrail %v: %v\n%s", args, err, out)
		}
	}
	return p
}
