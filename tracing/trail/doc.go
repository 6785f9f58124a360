// Package trail is the words of the trail: one Go type per table row, the ids derived from a message's identity, and
// the Reader by which the console and the diagnostics ask for it. Nothing here knows ClickHouse.
//
// Words: a step is one thing that happened to a message; a delivery is a contiguous range of a queue handed to one client
// of one group; a settlement is a range acknowledged (or one message's ack, nack, expiry); a happening is about the broker
// or a client. Times are µs since the epoch (Micros), durations too; the broker's clock unless a field says producer's.
//
// Identity of a message: its UNIQ_KEY property, else its offset message id. Trace id: the message's own incoming
// context, else sipHash128Reference(identity). Span id: sipHash64Keyed of one concatenated string.
package trail
