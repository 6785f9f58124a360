package beat

import "time"

// Next is how long it takes until the next moment of period d. It is never 0.
func Next(d time.Duration) time.Duration { return next(d, 0) }

func next(d, late time.Duration) time.Duration {
	return d - time.Duration(time.Now().Add(-late).UnixNano())%d
}

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
func (t *Ticker) Rest(d time.Duration) { t.RestLate(d, 0) }

// RestLate waits until some time after the next moment, shorter than d: what must not happen at once in several processes happens soon
// after each other.
func (t *Ticker) RestLate(d, late time.Duration) { t.timer.Reset(next(d, late)) }

// Stop ends the waiting.
func (t *Ticker) Stop() { t.timer.Stop() }
