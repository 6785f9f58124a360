package sim

import "testing"

// TestTheSameSeedIsTheSameRun: a finding is worth nothing when it cannot be seen again. Each operation on each disk is compared.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := range uint64(20) {
		c := Config{Seed: seed + 1, History: true, Disk: true}
		a, b := Run(c), Run(c)
		if len(a.History) < 100 {
			t.Fatalf("seed %d: a history of %d lines", c.Seed, len(a.History))
		}
		for i := range max(len(a.History), len(b.History)) {
			if i >= len(a.History) || i >= len(b.History) || a.History[i] != b.History[i] {
				t.Fatalf("seed %d: line %d of %d and %d: %.200q, then %.200q", c.Seed, i, len(a.History), len(b.History), at(a.History, i), at(b.History, i))
			}
		}
		if a.Coverage != b.Coverage {
			t.Fatalf("seed %d: %v, then %v", c.Seed, a.Coverage, b.Coverage)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
