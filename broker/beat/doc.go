// Package beat lets what a process does now and then happen at common moments, the multiples of its period in the time of the day: so an
// idle process with many timers wakes up seldom, and so do nodes that tell each other something at each of them. A time.Ticker begins
// whenever its owner did, and each wakes the process by itself. A clock that is set moves the next moment by less than the period.
package beat
