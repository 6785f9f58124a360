// Package timer is what a broker group knows of its delayed and scheduled messages: which of them are parked, which is due next, what was
// fired and what was cancelled. Messages themselves are in the log.
//
// Words: a message is parked when it is stored in a parking topic (SCHEDULE_TOPIC_XXXX, rmq_sys_wheel_timer) with its real topic and its due
// time, ms, as properties. An Entry is what is kept of it. Entries are ordered by due time, then by position. To fire is to store messages
// again in their real topics, in the order of their entries; the Cursor is the last entry that was fired or passed over. A cancelled entry is
// passed over. To roll is to park again, at the log's end, what is pending before a position; all entries before it are void then. A Run is all entries of one segment, in order; Open is the run of a segment that still grows. An entry is pending when it is
// after the cursor and neither cancelled nor void.
//
// Invariants: what Park, Fire, Cancel and Restore make of the state depends on the log alone, and not on what is sealed or was dropped: Save
// gives the same bytes on every member. No entry is parked at or before the cursor: that would never fire, and is an error. Every fire begins
// at the cursor, every roll where the last one ended. The entries of a run never change once its segment is sealed. The due times that Due and Next give are those of the log:
// whether they have come is for the caller to know, and that nothing which was formed and is not applied yet is due before them.
//
// Goroutines: none. Park, Fire, Roll, Cancel, Due, Next, Attach, Replace, DropBefore, Restore and Reset belong to the goroutine that applies the log;
// Seal may be called by the one that writes sidecars, the rest by any. Due, Next, Held, OldestPending and Segment read the disk while they hold the
// lock, in which Park waits for it; Find and Oldest do not.
//
// Files: entry.go (entries, due times in messages), open.go (a segment that grows), run.go (one sorted run and the place in it),
// cancelled.go (the set), table.go (the state), due.go (what is due), roll.go, save.go (its binary form). DESIGN.md says why it is so.
package timer
