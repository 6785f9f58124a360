// Package api is the console's public contract: the JSON shapes of /api/v1 and the OpenAPI document made from them.
//
// Words: a Problem is RFC 9457's problem+json with what failed, why, and what to do next. Times named At in broker state
// are ms since the epoch, those named Micros are µs.
//
// Invariants: openapi.json is generated from these types and checked by a test; the page's TypeScript types come from it.
// Goroutines: none.
package api

//go:generate go run ./gen openapi.json
