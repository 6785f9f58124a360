package engine_test

import (
	"os"
	"testing"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(probeEnv); mode != "" {
		probe(mode)
	}
	if dir := os.Getenv(parentEnv); dir != "" {
		beParent(dir)
	}
	enginetest.Main(m)
}
