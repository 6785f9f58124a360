// Package complain bounds how often a line of one kind is logged: a flood of bad peers, or a leader that is dialled every few milliseconds, must
// not become a flood of lines. What was left out is counted in the next line of its kind.
//
// A kind is a key that its users choose; up to 256 of them are told apart, all beyond are one. Safe for concurrent use; it has no goroutine.
package complain
