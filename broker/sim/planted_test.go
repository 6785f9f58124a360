package sim

import (
	"testing"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/shard"
)

// planted is a known mistake, and within how many seeds the simulator must find it.
type planted struct {
	name   string
	seeds  uint64
	config Config
}

func mistake(p shard.Planted) Config { return Config{Planted: p} }

func raftMistake(p consensus.Planted) Config { return Config{Planted: shard.Planted{Planted: p}} }

var mistakes = []planted{
	{"answered before the sync", 200, raftMistake(consensus.Planted{AckBeforeSync: true})},
	{"vote told before its hard state is synced", 2000, raftMistake(consensus.Planted{VoteBeforeSync: true})},
	{"hard state not written", 500, raftMistake(consensus.Planted{ForgetVote: true})},
	{"entry applied twice", 50, raftMistake(consensus.Planted{ApplyTwice: true})},
	{"offsets given before the no-op was applied", 200, mistake(shard.Planted{LeadWithoutNoOp: true})},
	{"entries shown past the commit index", 50, mistake(shard.Planted{ReadPastCommit: true})},
	{"offsets of a lost term gone on with", 500, mistake(shard.Planted{KeepNextOffsets: true})},
	{"a voted-out leader still answers", 500, mistake(shard.Planted{ServeAfterDefeat: true})},
	{"an uncertain outcome answered as stored", 500, mistake(shard.Planted{AnswerUncertain: true})},
	{"commits kept that never got into the log", 500, mistake(shard.Planted{KeepNoted: true})},
	{"newest entry dropped at a restart", 200, mistake(shard.Planted{DropTail: true})},
	{"damage served or cut", 500, mistake(shard.Planted{Log: seglog.Planted{TrustDamage: true}})},
	{"checkpoint not synced", 500, Config{ForgetSync: "checkpoint"}},
	{"next segment not synced", 500, Config{ForgetSync: "next.prepared"}},
}

// TestPlantedMistakesAreFound is the proof that the checkers see something.
func TestPlantedMistakesAreFound(t *testing.T) {
	for _, p := range mistakes {
		t.Run(p.name, func(t *testing.T) {
			for seed := range p.seeds {
				c := p.config
				c.Seed = seed + 1
				if r := Run(c); r.Violation != "" {
					t.Logf("seed %d: %.200s", c.Seed, r.Violation)
					return
				}
			}
			t.Errorf("not found in %d seeds", p.seeds)
		})
	}
}
