package rpc

import "time"

// Repeat calls f every d on a goroutine of its own; stop ends it and waits for a call that runs.
func Repeat(d time.Duration, f func(now time.Time)) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				f(now)
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}
