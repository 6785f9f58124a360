package clickhouse

import (
	"context"
	"fmt"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
)

func TestFirst(t *testing.T) {
	s := open(t, testOptions(t))
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	m := trail.StoredMessage{Message: trail.Message{ID: "A", Topic: "orders", Keys: []string{"k"}, AppendedMicros: 1_700_000_000_000_000, ReceivedMicros: 1_699_999_999_999_000, AckedMicros: 1_700_000_000_001_000}, StoreKey: "7F00000100002A9F"}
	write(t, s, "one", func(b trail.Sink) { b.Message(&m) })
	l, err := s.Life(context.Background(), "A")
	fmt.Printf("%+v %v\n", l, err)
}
