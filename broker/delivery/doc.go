// Package delivery is what a broker group knows of messages on their way to consumers: leases of pop, and messages that were sent back.
//
// Words: a pop leases messages of a queue to a client of a group until the invisible time is over; the lease's handle is where the pop
// began to read (start) and when it was (pop time). A message of a lease is in flight until it is acked, changed (given another time, and
// with it a new lease and handle) or revived: after its time a record says that it was copied to the pop retry topic or to the dead-letter
// queue, or is gone. The low offset of a queue is the lowest one in flight, or the next to pop: the group's consumer offset. An ordered
// queue has one batch: nothing else is popped while a message of it is in flight and its time is not over; afterwards it is popped
// again in place. An attempt is a client's name for its request: the same one gets the same batch. The sent-back set of a queue is the
// offsets of which the group's retry topic holds a copy (code 36) and which the group has not committed past.
//
// Invariants: a record of the log is applied exactly or is an error: the leader asks CanLease, CanAck, Settle, StillOver and
// CanSendBack on a state with everything earlier applied that touches the same queue. Each offset below next is in flight in one lease, or
// settled. Save depends on nothing but what was applied. A queue with nothing in flight and nothing sent back is not kept: the
// group's consumer offset says all.
//
// Goroutines: none; safe for concurrent use. One goroutine applies.
//
// Files: table.go (queues and slots), lease.go (normal leases), ordered.go, sentback.go, decide.go and settle.go (what may be applied), due.go (what
// expired), retry.go (when again, and whether), save.go, restore.go. DESIGN.md says why leases are in the log.
package delivery
