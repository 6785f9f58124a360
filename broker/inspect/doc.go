// Package inspect is the broker's state as JSON shapes: what the console, the CLI and tests may know of it. It holds
// types only; broker/service fills them. Times are ms since the epoch unless named otherwise; offsets are queue offsets.
package inspect
