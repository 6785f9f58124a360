// Package verdict answers "where is this message now?" for each consumer group, from what was recorded of the message and
// what the broker knows of the group at this moment.
//
// Words: a Verdict is one group's answer; its Evidence are the facts it rests on, each with a code (for translation), its
// values and an English text. No evidence, no verdict: what cannot be known is Unknown and says why.
//
// Invariants: pure; the caller gives the time. One verdict per group, groups that need a person first, then by name.
// Goroutines: none.
package verdict
