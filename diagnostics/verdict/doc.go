// Package verdict answers "where is this message now?" for each consumer group, from what was recorded of the message and
// what the broker knows of the group at this moment.
//
// Words: a Verdict is one group's answer; its Evidence are the facts it rests on, each with a code (for translation), its
// values and an English text. No evidence, no verdict: what cannot be known is Unknown and says why.
//
// All stored copies of a message are one message: what waits until it is due, what was fired then, a group's retries and its dead letter.
// The newest copy that is a group's decides for it; Lineage tells them as one story.
//
// A half message is one of them: what its commit stored in the topic decides, and before that nobody gets it. Only settlements that acknowledge or reset settle;
// those that say that a message was not consumed are evidence.
//
// Invariants: pure; the caller gives the time. One verdict per group, groups that need a person first, then by name.
// Goroutines: none.
//
// Files: verdict.go (the decision), copies.go (which copy decides), transactions.go (half messages), lineage.go, evidence.go (facts in words).
package verdict
