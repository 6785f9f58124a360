package brokertest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// clientsAtATime is how many clients' scenarios run side by side: they mostly wait for what is due.
const clientsAtATime = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", clientsAtATime); err != nil {
		panic(err)
	}
	code := m.Run()
	if build.path != "" {
		_ = os.RemoveAll(filepath.Dir(build.path))
	}
	os.Exit(code)
}
