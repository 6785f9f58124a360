package engine_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/tracing/engine"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// probeEnv makes the test binary open the engine itself and dereference nil, recovered or not.
const probeEnv = "ENGINE_TEST_PROBE"

// A nil dereference in a process that has the engine is what it is in any Go process: a panic that can be recovered, and
// an end with a stack if it is not. With the engine's own handlers the process would hang.
func TestNilDereferenceBesideTheEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	lib, err := enginetest.Library()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]string{
		"recovered": "recovered: runtime error: invalid memory address or nil pointer dereference",
		"fatal":     "goroutine ",
	} {
		t.Run(mode, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, self)
			cmd.Env = append(os.Environ(), probeEnv+"="+mode, "ENGINE_TEST_LIBRARY="+lib, "ENGINE_TEST_DATA="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if ctx.Err() != nil {
				t.Fatal("it hangs")
			}
			if (err == nil) != (mode == "recovered") || !strings.Contains(string(out), want) {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

func probe(mode string) {
	recovered, err := engine.ProbeSignals(os.Getenv("ENGINE_TEST_LIBRARY"), os.Getenv("ENGINE_TEST_DATA"), mode == "recovered")
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	println("recovered:", recovered)
	os.Exit(0)
}
