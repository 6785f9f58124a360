package remoting

import (
	"sync"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// slowCluster makes changes when it is let.
type slowCluster struct{ let chan struct{} }

func (s slowCluster) Cluster() inspect.Cluster { return inspect.Cluster{} }
func (s slowCluster) ClusterChange(body []byte) ([]byte, *service.Error) {
	<-s.let
	return body, nil
}

func TestChangesOfTheClusterAreBounded(t *testing.T) {
	b, slow := start(t), slowCluster{make(chan struct{})}
	b.front.opts.Whole = slow
	var waiting sync.WaitGroup
	for range changesMax {
		c := b.client()
		waiting.Go(func() { c.ok(wire.BrokerClusterChange, "{}") })
	}
	for end := time.Now().Add(10 * time.Second); len(b.front.changes) < changesMax; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d changes wait", len(b.front.changes))
		}
	}
	c := b.client()
	if a := c.do(wire.BrokerClusterChange, "{}"); a.Code != service.CodeSystemBusy {
		t.Errorf("one more: code %d %s", a.Code, a.Remark)
	}
	close(slow.let)
	waiting.Wait()
	c.ok(wire.BrokerClusterChange, "{}")
}
