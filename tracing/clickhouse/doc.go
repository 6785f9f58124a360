// Package clickhouse keeps the trail in ClickHouse: the schema and its migrations, the writer of blocks and the reader that
// answers the console. It needs an address or a dialer and nothing of the engine's kind: an embedded engine, one server
// and a replicated cluster differ in a few words of the same SQL.
//
// Words: a table holds rows of one kind (package trail); a block is rows for one write, encoded in ClickHouse's Native form
// while they are added; a token names a write, so that doing it again has no effect; a cut is a block that several
// writers agree on; a rollup is a table of minute sums.
//
// Invariants: values reach the server as bound parameters or Native columns, never as text of a statement. Every query
// has a limit of time, memory and rows. A row costs the writer no allocation. An answer says found, nothing, failed or
// not recorded; a query that broke off is failed, never "nothing". Migrations run at the first use that finds the server
// up, so that opening needs none.
//
// Goroutines: a ping at a time while somebody asks for the status, and those of one question. Store is safe for concurrent use, a Block belongs to one goroutine.
//
// Files: options.go, store.go (connection) · sql/*.sql (each run once), sql/views (made anew when changed), render.go, migrate.go (schema) · columns.go, tables.go, block.go,
// writer.go, cuts.go (writing) · search.go, life.go, leaders.go, rates.go, rows.go, status.go (reading).
package clickhouse
