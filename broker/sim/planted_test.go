package sim

import (
	"testing"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/shard"
)

// planted is a known mistake, within how many seeds the simulator must find it, and what it is found by.
type planted struct {
	name   string
	seeds  uint64
	config Config
}

func mistake(p shard.Planted) Config { return Config{Planted: p} }

func raftMistake(p consensus.Planted) Config { return Config{Planted: shard.Planted{Planted: p}} }

func logMistake(p seglog.Planted) Config { return Config{Planted: shard.Planted{Log: p}} }

var mistakes = []planted{
	{"answered before the sync", 200, raftMistake(consensus.Planted{AckBeforeSync: true})},
	{"vote told before its hard state is synced", 500, raftMistake(consensus.Planted{VoteBeforeSync: true})},
	{"hard state not written", 500, raftMistake(consensus.Planted{ForgetVote: true})},
	{"entry applied twice", 50, raftMistake(consensus.Planted{ApplyTwice: true})},
	{"offsets given before the no-op was applied", 200, mistake(shard.Planted{LeadWithoutNoOp: true})},
	{"entries shown past the commit index", 50, mistake(shard.Planted{ReadPastCommit: true})},
	{"offsets of a lost term gone on with", 500, mistake(shard.Planted{KeepNextOffsets: true})},
	{"a voted-out leader still answers", 500, mistake(shard.Planted{ServeAfterDefeat: true})},
	{"an uncertain outcome answered as stored", 500, mistake(shard.Planted{AnswerUncertain: true})},
	{"commits kept that never got into the log", 500, mistake(shard.Planted{KeepNoted: true})},
	{"newest entry dropped at a restart", 200, mistake(shard.Planted{DropTail: true})},
	{"retention drops what no checkpoint covers", 500, mistake(shard.Planted{DropUnsaved: true})},
	{"votes before it has again what it lost", 500, mistake(shard.Planted{VoteUnrepaired: true})},
	{"damage served or cut", 500, logMistake(seglog.Planted{TrustDamage: true})},
	{"snapshot installed unchecked", 500, logMistake(seglog.Planted{TrustIncoming: true})},
	{"install without its marker", 500, logMistake(seglog.Planted{ForgetMarker: true})},
	{"truncation without its note", 500, logMistake(seglog.Planted{ForgetCut: true})},
	{"checkpoint not synced", 500, Config{ForgetSync: "checkpoint"}},
	{"segments not synced", 500, Config{ForgetSync: "next.prepared"}},
	{"received segments not synced", 500, Config{ForgetSync: "incoming/"}},
	{"folders not synced", 500, Config{ForgetDir: true}},
	{"offsets read without asking whether one still leads", 500, Config{SkipBarrier: true}},
	{"a member that lost its disk let in under its old id", 500, Config{NoVet: true}},
}

// TestPlantedMistakesAreFound is the proof that the checkers see something. The seeds that find a mistake are run without it, too:
// then they must find nothing.
func TestPlantedMistakesAreFound(t *testing.T) {
	for _, p := range mistakes {
		t.Run(p.name, func(t *testing.T) { p.find(t) })
	}
}

func (p *planted) find(t *testing.T) {
	for seed := range p.seeds {
		c := p.config
		c.Seed = seed + 1
		r := Run(c)
		if r.Violation == "" {
			continue
		}
		t.Logf("seed %d: %.200s", c.Seed, r.Violation)
		if clean := Run(Config{Seed: c.Seed}); clean.Violation != "" {
			t.Errorf("seed %d finds something without the mistake, too: %s", c.Seed, clean.Violation)
		}
		return
	}
	t.Errorf("not found in %d seeds", p.seeds)
}
