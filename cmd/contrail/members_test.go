package main

import (
	"testing"
	"time"
)

// The leader handed its office each six seconds to a member that could not take it: each try held up the group for a second.
func TestTriesToMoveTheLeaderBackBecomeRarer(t *testing.T) {
	w, now, tries := &wish{}, time.Now(), 0
	for range 3600 {
		if now = now.Add(time.Second); w.due(now, settledFor, true) {
			tries++
		}
	}
	if tries < 5 || tries > 15 {
		t.Fatalf("%d tries in an hour", tries)
	}
}
