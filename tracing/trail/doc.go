// Package trail is the words of the trail: one Go type per table row, the ids derived from a message's identity, and
// the Reader by which the console and the diagnostics ask for it. Nothing here knows ClickHouse.
//
// Words: a step is one thing that happened to a message; a delivery is a contiguous range of a queue handed to one client
// of one group; a settlement is a range acknowledged (or one message's ack, nack, expiry); a happening is about the broker
// or a client. Times are µs since the epoch (Micros), durations too; the broker's clock unless a field says producer's.
//
// A message has several stored copies: a parked one that waits until it is due, the one that is fired then, retries, a dead letter.
//
// Identity of a message, the same for all of its copies: its UNIQ_KEY property, else, in a retry, the offset message id of the first copy
// (ORIGIN_MESSAGE_ID), else its offset message id. Trace id: the message's own incoming
// context, else sipHash128Reference(identity). Span id: sipHash64Keyed of one concatenated string.
package trail
