// Package offset holds the committed offsets of consumer groups: the next offset that each group will consume in each queue.
//
// Words: a commit is told by a client; it is noted at once (readers see it), proposed with one of the next entries, and
// applied when that entry is committed. Only applied commits are in checkpoints.
//
// A reset is a commit that somebody made in the group's place; its Client says so (resets.go), so it is known as one on every member and
// after a restart, until the group commits itself.
//
// Invariants: applied commits change by Apply only, in log order. A noted commit hides the applied one until its entry is
// applied or a newer one is noted.
//
// Goroutines: none; safe for concurrent use.
package offset
