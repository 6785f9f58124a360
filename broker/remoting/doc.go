// Package remoting is the broker's front for RocketMQ's remoting protocol: it reads requests, calls the service, and writes
// answers; it decides nothing (rocketmq.md 2, 6, 11).
//
// Words: a conn is one client's connection; its parcel is the messages of the frames that one read brought, which are sealed
// and answered together. A call is one request that is answered by the reading goroutine.
//
// Invariants: an answer has the form (JSON or binary header) of its request; every request that is not one-way is answered
// once. A code that is not in the table is answered with REQUEST_CODE_NOT_SUPPORTED. Nothing here allocates per message of a
// send or a pull.
//
// Goroutines: handlers run in the connection's reading goroutine; the shard's goroutine calls back for sends, poll workers
// for held pulls. One goroutine expires silent clients.
//
// Files: server.go (port, dispatch), conn.go (one connection), send.go and pull.go (shared by their codes), json.go (JSON that
// only RocketMQ has), one file per request numbered by its code.
package remoting
