package engine_test

import (
	"testing"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
