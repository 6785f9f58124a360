package consensus

import pb "go.etcd.io/raft/v3/raftpb"

// changes are the changes of members in the log of which it is not written down that they are committed.
//
// Raft counts by the members as of the newest entry that was applied. After a restart that is the newest entry known to be committed:
// a member that forgot that a change was committed counts by the old members. Those who were replaced and those who forgot could then
// elect a leader without the others, or, when those who were replaced are gone, nobody could be elected. So the commit index is
// written whenever it passes a change. What is acknowledged later is synced with it, and the next change is proposed later.
type changes struct {
	indexes []uint64
	unread  uint64 // entries up to this were here at the start: any of them may be a change
}

// put notes an entry that is appended; a new leader may overwrite what was noted.
func (c *changes) put(e *pb.Entry) {
	for n := len(c.indexes); n > 0 && c.indexes[n-1] >= e.GetIndex(); n-- {
		c.indexes = c.indexes[:n-1]
	}
	if e.GetType() != pb.EntryNormal {
		c.indexes = append(c.indexes, e.GetIndex())
	}
}

// passed says whether a commit index that grows passes a change.
func (c *changes) passed(from, to uint64) bool {
	if to <= from {
		return false
	}
	return from < c.unread || len(c.indexes) > 0 && c.indexes[0] <= to
}

// forget drops what is written down.
func (c *changes) forget(commit uint64) {
	n := 0
	for n < len(c.indexes) && c.indexes[n] <= commit {
		n++
	}
	c.indexes = append(c.indexes[:0], c.indexes[n:]...)
}
