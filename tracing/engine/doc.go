// Package engine is the embedded ClickHouse: libchdb in a child process of the same binary, which serves ClickHouse's HTTP
// interface on Unix sockets, so that an unmodified client does not know whether it talks to it or to a server.
//
// Words: the library is libchdb.so. The engine is ClickHouse inside it. A connection is chDB's: it runs one statement at a
// time. A session is a connection and what was set on it. The front translates a request of the HTTP interface into calls
// of the library. The child is the process with engine and front; the supervisor starts it and starts it again. A mark is
// the comment by which a running statement is found and killed.
//
// Invariants: the broker's process never loads the library; a crash, hang or absence of the engine costs the trail, not
// messages. Whoever uses the engine uses a socket and clickhouse-go, nothing else. A setting lasts for one request. A body
// that breaks off is never taken for a whole one. Nothing is answered with success before the engine said so.
//
// Goroutines: in the parent, the supervisor (one OS thread) with, per child, a waiter and a pinger; all end with Close. In
// the child, net/http's, one OS thread per running statement, and per INSERT a feeder of its pipe.
//
// Files: fetch.go, download.go (the library) · binding_*.go, signals_linux.go (calls into it) · sql.go, request.go (what is
// asked) · pool.go (sessions) · front.go, insert.go, respond.go, exception.go (how it is answered) · child.go,
// humble_*.go, confine_linux.go (the child's body) · supervise.go, stream.go (the parent's side). DESIGN.md says why.
package engine
