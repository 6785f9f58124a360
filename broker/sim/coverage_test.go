package sim

import "testing"

// least is what 2000 seeds must do at the least, about half of what they do: a change of the generator that makes runs trivial
// fails here.
var least = map[cover]int{
	Entries: 300_000, Acked: 500_000, Refused: 20_000, Uncertain: 3000, Resent: 30_000, Crashes: 6000, PowerLosses: 3000, CrashesInside: 500,
	Terms: 3500, Snapshots: 150, Flips: 150, Repairs: 120, Repaired: 90, Truncations: 500, Retention: 200, FullDisks: 1400, DiskErrors: 900,
	Joined: 700, Promoted: 500, Removed: 350, Wiped: 40, Turned: 3500, Deleted: 350, Changed: 2900, Gone: 700, Reads: 150_000, Writes: 130_000,
	Noted: 90_000, Judged: 3500, Handed: 1500, Locked: 18_000,
	Scheduled: 55_000, Raised: 16_000, Fired: 34_000, Rolled: 500, Unrolled: 5, Cancelled: 10_000, TooLate: 12_000,
	OrderedPopped: 8000, OrderedAgain: 3000, OrderedAcked: 5000,
	Halves: 19_000, HalfChecks: 16_000, Committed: 8500, RolledBack: 4300, GivenUp: 2900, EndsDone: 12_000, EndsRefused: 4000,
	SentBack: 7500, SentBackDone: 9000, SentBackAgain: 1300, SentPassed: 110, SentItself: 90, DeadLetters: 420,
	Leased: 20_000, LeaseAcked: 7500, LateAcked: 1300, AckedAgain: 2800, LeaseChanged: 850, Revived: 8000, PlansOver: 1100, LeasesReset: 500, NothingOver: 180,
}

func checkCoverage(t *testing.T, y *tally) {
	t.Helper()
	if y.runs < usualSeeds {
		return
	}
	for what, n := range least {
		if got := y.coverage[what] * usualSeeds / y.runs; got < n {
			t.Errorf("%d seeds have %d %s, at least %d are expected", usualSeeds, got, coverNames[what], n)
		}
	}
}
