package main

import (
	"testing"

	"github.com/contrailmq/contrail/broker/plan"
)

// A change that nobody waited for any more was overwritten by the next one, and nodes that had seen it took the next one, of the same
// version, for it.
func TestTheNextPlanBeginsWithTheOneOnItsWay(t *testing.T) {
	applied, way := plan.Plan{Version: 4}, plan.Plan{Version: 5}
	for _, c := range []struct {
		name  string
		tried tried
		old   plan.Plan
		want  uint64
	}{
		{"nothing was tried", tried{}, applied, 4},
		{"it is on its way", tried{7, way}, applied, 5},
		{"it was applied, and another one since", tried{7, way}, plan.Plan{Version: 6}, 6},
		{"it was of an earlier term, whose entries are applied or gone", tried{6, way}, applied, 4},
	} {
		if got := c.tried.over(c.old, 7); got.Version != c.want {
			t.Errorf("%s: the next plan begins with version %d, want %d", c.name, got.Version, c.want)
		}
	}
}
