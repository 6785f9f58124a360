// Package txn is the transactions of a broker group: which half messages are open, and how the last ones were decided.
//
// Words: a half message is stored in RMQ_SYS_TRANS_HALF_TOPIC and waits for its producer's decision; it is open until an end is
// applied. An end commits, rolls back or parks it (moved to TRANS_CHECK_MAX_TIME_TOPIC: nobody answered). A check asks a producer of the
// group (code 39). How an end came about is the producer itself, its answer to a check, the last check, or an admin. Halves are named by
// their offset in the half queue; unlike Apache's, a checked half message keeps its offset and position, because it is not stored anew.
//
// Invariants: the table changes by Put, End and Check in log order only. The first decision wins: an end or a check of what is not open
// is an error, because the leader asks CanEnd and CanCheck on a state with everything earlier applied. Save depends on nothing but what
// was applied: what a leader alone keeps (when to check) is made anew from the table, and is not saved, nor are checksums.
//
// Goroutines: none; safe for concurrent use. One goroutine applies.
//
// Files: table.go (apply), decided.go (the last decisions), decide.go (what may be applied), ended.go (what becomes of a half
// message), agenda.go (what is due), list.go (halves by
// offset, of all and of each group), save.go.
package txn
