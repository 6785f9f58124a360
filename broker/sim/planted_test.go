package sim

import (
	"testing"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/entry"
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

func timersMistake(p shard.Planted) Config { return focused(FocusTimers, mistake(p)) }

func txnsMistake(p shard.Planted) Config { return focused(FocusTxns, mistake(p)) }

func backsMistake(p shard.Planted) Config { return focused(FocusBacks, mistake(p)) }

func leasesMistake(p shard.Planted) Config { return focused(FocusLeases, mistake(p)) }

func orderedMistake(p shard.Planted) Config { return focused(FocusOrdered, mistake(p)) }

func focused(f Focus, c Config) Config {
	c.Focus = f
	return c
}

// The numbers are about three times what was needed when they were written down.
var mistakes = []planted{
	{"answered before the sync", 10, raftMistake(consensus.Planted{AckBeforeSync: true})},
	{"vote told before its hard state is synced", 10, focused(FocusVotes, raftMistake(consensus.Planted{VoteBeforeSync: true}))},
	{"hard state not written", 10, raftMistake(consensus.Planted{ForgetVote: true})},
	{"entry applied twice", 5, raftMistake(consensus.Planted{ApplyTwice: true})},
	{"a committed change of members not written down", 200, focused(FocusMembers, raftMistake(consensus.Planted{ForgetMembers: true}))},
	{"offsets given before the no-op was applied", 10, mistake(shard.Planted{LeadWithoutNoOp: true})},
	{"entries shown past the commit index", 20, mistake(shard.Planted{ReadPastCommit: true})},
	{"offsets of a lost term gone on with", 130, focused(FocusLeaders, mistake(shard.Planted{KeepNextOffsets: true}))},
	{"a voted-out leader still answers", 10, mistake(shard.Planted{ServeAfterDefeat: true})},
	{"an uncertain outcome answered as stored", 30, mistake(shard.Planted{AnswerUncertain: true})},
	{"commits kept that never got into the log", 40, mistake(shard.Planted{KeepNoted: true})},
	{"newest entry dropped at a restart", 10, mistake(shard.Planted{DropTail: true})},
	{"retention drops what no checkpoint covers", 10, focused(FocusSaves, mistake(shard.Planted{DropUnsaved: true}))},
	{"votes before it has again what it lost", 10, focused(FocusDecay, mistake(shard.Planted{VoteUnrepaired: true}))},
	{"damage served or cut", 20, focused(FocusDecay, logMistake(seglog.Planted{TrustDamage: true}))},
	{"snapshot installed unchecked", 10, focused(FocusSnapshots, logMistake(seglog.Planted{TrustIncoming: true}))},
	{"install without its marker", 130, focused(FocusSnapshots, logMistake(seglog.Planted{ForgetMarker: true}))},
	{"checkpoint not synced", 10, Config{ForgetSync: "checkpoint"}},
	{"segments not synced", 10, Config{ForgetSync: "next.prepared"}},
	{"received segments not synced", 120, Config{ForgetSync: "incoming/", Focus: FocusSnapshots}},
	{"folders not synced", 10, Config{ForgetDir: true}},
	{"offsets read without asking whether one still leads", 40, Config{SkipBarrier: true, Focus: FocusLeaders}},
	{"a new leader begins without queue locks", 10, focused(FocusLocks, mistake(shard.Planted{ForgetLocks: true}))},
	{"messages fired past one that is on its way", 30, timersMistake(shard.Planted{FireFormed: true})},
	{"a fire whose cursor is not checked", 100, timersMistake(shard.Planted{FireAgain: true})},
	{"messages fired before the leader's clock says so", 10, timersMistake(shard.Planted{FireEarly: true})},
	{"a cancel answered before it is applied", 10, timersMistake(shard.Planted{AnswerFormed: entry.KindTimerCancel})},
	{"cancelled messages forgotten at a restart", 20, timersMistake(shard.Planted{Forget: entry.KindTimerCancel})},
	{"a due time of the past kept", 10, timersMistake(shard.Planted{KeepDue: true})},
	{"parked messages stored again unchecked", 10, focused(FocusParked, mistake(shard.Planted{TrustParked: true}))},
	{"a rolled message not parked again", 110, timersMistake(shard.Planted{DropRolled: true})},
	{"a transaction ended without asking whether it is open", 20, txnsMistake(shard.Planted{Unasked: entry.KindTxnEnd})},
	{"a committed message stored without the end", 10, txnsMistake(shard.Planted{Bare: entry.KindTxnEnd})},
	{"an end stored without the committed message", 10, txnsMistake(shard.Planted{Alone: entry.KindTxnEnd})},
	{"an end answered before it is applied", 10, txnsMistake(shard.Planted{AnswerFormed: entry.KindTxnEnd})},
	{"decisions forgotten at a restart", 10, txnsMistake(shard.Planted{Forget: entry.KindTxnEnd})},
	{"a check made before it is counted", 10, txnsMistake(shard.Planted{AnswerFormed: entry.KindTxnCheck})},
	{"a check counted that was made for another one", 50, txnsMistake(shard.Planted{Unasked: entry.KindTxnCheck})},
	{"a transaction committed into a topic that is gone", 50, txnsMistake(shard.Planted{DropGone: true})},
	{"a half message stored again unchecked", 40, txnsMistake(shard.Planted{TrustStored: true})},
	{"an end refused by who may have been replaced", 80, txnsMistake(shard.Planted{RefuseStale: true})},
	{"a message sent back again", 10, backsMistake(shard.Planted{Unasked: entry.KindSentBack})},
	{"a copy stored without the record that it was sent back", 10, backsMistake(shard.Planted{Bare: entry.KindSentBack})},
	{"a record that a message was sent back without its copy", 10, backsMistake(shard.Planted{Alone: entry.KindSentBack})},
	{"sent back as answered, before it is applied", 10, backsMistake(shard.Planted{AnswerFormed: entry.KindSentBack})},
	{"what was sent back forgotten at a restart", 10, backsMistake(shard.Planted{Forget: entry.KindSentBack})},
	{"a lease given before it is applied", 10, leasesMistake(shard.Planted{AnswerFormed: entry.KindPopLease})},
	{"what another one got in between leased again", 30, leasesMistake(shard.Planted{Unasked: entry.KindPopLease})},
	{"an ack answered before it is applied", 10, leasesMistake(shard.Planted{AnswerFormed: entry.KindPopAck})},
	{"an ack taken whatever it is of", 30, leasesMistake(shard.Planted{Unasked: entry.KindPopAck})},
	{"a change answered before it is applied", 20, leasesMistake(shard.Planted{AnswerFormed: entry.KindPopChange})},
	{"revived without asking what was acknowledged meanwhile", 30, leasesMistake(shard.Planted{Unasked: entry.KindPopRevive})},
	{"a copy stored without its revival", 10, leasesMistake(shard.Planted{Bare: entry.KindPopRevive})},
	{"a revival without its copy", 10, leasesMistake(shard.Planted{Alone: entry.KindPopRevive})},
	{"leases forgotten at a restart", 10, leasesMistake(shard.Planted{Forget: entry.KindPopLease})},
	{"an offset reset beside what rests on leases", 15, leasesMistake(shard.Planted{ResetBeside: true})},
	{"an ordered batch given while another one has time left", 30, orderedMistake(shard.Planted{Unasked: entry.KindPopLease})},
	{"an ordered batch given before it is applied", 10, orderedMistake(shard.Planted{AnswerFormed: entry.KindPopLease})},
	{"an ordered batch given again by the group's place alone", 130, orderedMistake(shard.Planted{PlanByPlace: true})},
	{"ordered batches forgotten at a restart", 30, orderedMistake(shard.Planted{Forget: entry.KindPopLease})},
	{"a member that lost its disk let in under its old id, and not asked for the founding", 120, Config{NoVet: true, Planted: shard.Planted{FoundUnasked: true}}},
}

// TestPlantedMistakesAreFound is the proof that the checkers see something. The seeds that find a mistake are run without it, too:
// then they must find nothing.
func TestPlantedMistakesAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs some hundred runs")
	}
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
		if clean := Run(Config{Seed: c.Seed, Focus: c.Focus}); clean.Violation != "" {
			t.Errorf("seed %d finds something without the mistake, too: %s", c.Seed, clean.Violation)
		}
		return
	}
	t.Errorf("not found in %d seeds", p.seeds)
}
