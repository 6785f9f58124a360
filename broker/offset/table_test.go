package offset

import (
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
)

// All groups together have Max offsets; those that are there go on.
func TestOffsetsAreBounded(t *testing.T) {
	table := New()
	for i := range int32(Max - 1) { // as Apply does, but faster
		table.applied[Key{"many", "t", i}] = Commit{}
	}
	table.Apply(&entry.Offset{Group: "g", Topic: "t", QueueID: 7, Offset: 1})
	if !table.Room(Key{"g", "t", 7}) {
		t.Error("a known queue has no room")
	}
	if table.Room(Key{"other", "t", 7}) {
		t.Error("one more than the limit has room")
	}
	table.DropGroup("g")
	if !table.Room(Key{"other", "t", 7}) {
		t.Error("the place of a deleted group is not free")
	}
}
