// Package remoting is the broker's front for RocketMQ's remoting protocol: it reads requests, calls the service, and writes
// answers; it decides nothing (rocketmq.md 2, 6, 11).
//
// Words: a conn is one client's connection; its parcel is the messages of the frames that one read brought, which are sealed
// and answered together. A call is one request that is answered by the reading goroutine. An ask is a request of ours to a client.
//
// Invariants: an answer has the form (JSON or binary header) of its request; every request that is not one-way is answered
// once. A code that is not in the table is answered with REQUEST_CODE_NOT_SUPPORTED. Nothing here allocates per message of a
// send or a pull.
//
// A member of a larger broker group answers as the leader only while it leads; else it hands on what only the leader may answer
// (relay.go says what, how, and with which limits).
//
// Goroutines: handlers run in the connection's reading goroutine; the shard's goroutine calls back for sends, poll workers
// for held pulls, another connection's reading goroutine or a timer for asks. One goroutine expires silent clients. The relay has one, and two for each connection to the leader.
//
// Files: server.go (port, dispatch), conn.go (one connection), send.go, pull.go and later.go (shared by their codes), json.go (JSON that
// only RocketMQ has), ask.go (what clients are asked), relay.go (what goes to the leader), relay_pool.go (what waits for one), relay_link.go (a connection to
// it), one file per request numbered by its code.
package remoting
