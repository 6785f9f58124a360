package service

import (
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// TestNewGroupReadsWhileTheDiskIsFull: nothing can be stored, not even that there is a new group; what is stored can be read.
func TestNewGroupReadsWhileTheDiskIsFull(t *testing.T) {
	disk := vfs.NewMem()
	disk.Capacity = 5 << 20
	s := open(t, disk, "data")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("full", "a", 0), "first"))
	big := strings.Repeat("x", 100<<10)
	for i := 0; send(t, s, c, header("full", "a", 1), big).Code == 0; i++ {
		if i > 200 {
			t.Fatal("the disk does not become full")
		}
	}
	r := pullOnce(s, &PullRequest{Client: c, Group: "new", Topic: "full", Subscription: "*"})
	if got := messages(t, r); r.Code != CodeSuccess || len(got) != 1 || got[0] != "first" {
		t.Fatalf("code %d %s: %v", r.Code, r.Remark, got)
	}
}
