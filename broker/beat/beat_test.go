package beat

import (
	"testing"
	"testing/synctest"
	"time"
)

// Tickers that began at different times tell the same moments, and one that was late goes on with the next of them.
func TestTickersMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 100 * time.Millisecond
		var at []time.Time
		for _, late := range []time.Duration{0, 30 * time.Millisecond, 270 * time.Millisecond} {
			k := NewTicker(period)
			<-k.C
			time.Sleep(late)
			k.Rest(period)
			at = append(at, <-k.C)
			k.Stop()
		}
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d <= 0 || d%period != 0 {
				t.Fatalf("ticks %d and %d are %s apart, their period is %s", i, i+1, d, period)
			}
		}
	})
}
