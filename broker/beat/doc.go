// Package beat lets what a process does now and then happen at common moments, the multiples of its period since the process began: so an
// idle process with many timers wakes up seldom. A time.Ticker begins whenever its owner did, and each wakes the process by itself.
package beat
