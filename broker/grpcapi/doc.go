// Package grpcapi is the front for RocketMQ's gRPC clients (apache.rocketmq.v2.MessagingService): what they ask becomes calls of the
// service, and its answers go back as the protocol's messages. RocketMQ has a proxy process for this; here the broker answers itself.
//
// Words: a client is one SDK object, known by the id that it sends with each call (x-mq-client-id), over any number of connections. Its settings are what it
// told over its telemetry stream and what it was answered; the stream is also how it is asked (recover a transaction, verify a message, print
// stacks). A member is this node's member of one broker group. A receipt is what a client gives back to settle a message: the pop's handle,
// signed, opaque. Renewal is giving a message that a push consumer holds more time, as long as its stream is there.
//
// Invariants: errors are in the answer's status, the call itself succeeds; only a telemetry stream ends with an error. A request for a broker group that
// another node leads is handed to that node once (forward.go). Nothing is acknowledged before the service says so. Every name, property and number
// is checked against its limit, with RocketMQ's texts, before it reaches the service. All maps and queues are bounded.
//
// Goroutines: gRPC's own, one for each call and each stream; a sender for each telemetry stream; one for renewals. A client's state is behind its mutex.
//
// Files: server.go (listening, both TLS and plaintext on one port: sniff.go), client.go, settings.go, status.go (codes), check.go (limits), convert.go
// (what is sent), encode.go, codec.go (what is received), unpack.go, ask.go (what operators ask of clients), shown.go (settings for the console), authorization.go,
// receipt.go, renew.go, forward.go, mirror.go, metrics.go, and one file for each call.
package grpcapi
