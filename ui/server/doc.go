// Package server is the console's HTTP side: the API of ui/api and the built page. It reads the broker's state through Broker and the
// trail through trail.Reader; what an operator may do it does through Operator, and what changes the cluster through Cluster.
//
// Words: a problem is an error's answer (RFC 9457); its id is also in the log. A slice is a part of a search's time range. A
// tick is one second of the broker's counters; a point of the series is five of them.
//
// An act is a POST that does something with messages, groups or clients; its outcome is told per letter or queue.
//
// Invariants: only a POST of the listed paths acts, with JSON, from no other origin, where the configuration allows it; each is in the log.
// Every answer of the trail keeps its four values (found, nothing, failed, not recorded): a store that is away is
// an answer, not an error. What users' messages hold is never sent as a document a browser would run: bodies are JSON
// strings, or an attachment. Every parameter, answer, wait and number of readers has a limit. Other hosts' names are refused
// (a page of an attacker whose name resolves to this address could read everything here).
//
// Goroutines: New starts one, the sampler; Close ends it and all live streams. The rest are net/http's.
//
// Files: server.go (options, routes), guard.go (what is around each request), problem.go, params.go, state.go, messages.go,
// stream.go, life.go, stored.go (messages in the log), body.go, series.go, live.go, static.go, write.go, cluster.go; acts.go (what may be
// done, and who does it), deadletters.go, export.go, resets.go, waiting.go (scheduled, transactions), consumers.go, running.go (what a
// client says of itself).
package server
