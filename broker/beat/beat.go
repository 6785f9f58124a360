package beat

import "time"

var began = time.Now()

// Next is how long it takes until the next moment of period d. It is never 0.
func Next(d time.Duration) time.Duration { return d - time.Since(began)%d }

// Ticker tells the moments of a period. Unlike a time.Ticker's, the next moment is only waited for after Rest was called: who is late
// passes over the moments that went by meanwhile.
type Ticker struct {
	C <-chan time.Time

	timer *time.Timer
}

// NewTicker waits for the next moment of period d.
func NewTicker(d time.Duration) *Ticker {
	t := time.NewTimer(Next(d))
	return &Ticker{t.C, t}
}

// Rest waits for the next moment of period d.
func (t *Ticker) Rest(d time.Duration) { t.timer.Reset(Next(d)) }

// Stop ends the waiting.
func (t *Ticker) Stop() { t.timer.Stop() }
