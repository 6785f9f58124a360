package server

import (
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
)

func TestUnreadAreTopicsThatSomebodyShouldRead(t *testing.T) {
	count, names, all := unread([]inspect.Topic{
		{Name: "audit", Messages: 3}, {Name: "orders", Messages: 9, Groups: []string{"billing"}}, {Name: "empty"}, {Name: "clicks", Messages: 7},
		{Name: "%DLQ%billing", Messages: 2}, {Name: "%RETRY%billing", Messages: 2}, {Name: "RMQ_SYS_TRACE_TOPIC", Messages: 1, System: true},
	})
	if count != 6 || all != 2 || !slices.Equal(names, []string{"clicks", "audit"}) {
		t.Errorf("%d topics, %d unread: %q", count, all, names)
	}
}
