package derive

import (
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Who decided a transaction, or that nobody did: details of its steps.
const (
	byProducer  = "producer"
	byCheck     = "check"
	byLastCheck = "last check"
	byAdmin     = "admin"
)

const errNoProducer = "no producer of the group is connected"

var decisions = map[entry.TxnDecision]string{entry.TxnCommit: trail.StepCommit, entry.TxnRollback: trail.StepRollback, entry.TxnParked: trail.StepDiscard}

var deciders = map[entry.TxnHow]string{entry.TxnByProducer: byProducer, entry.TxnByCheck: byCheck, entry.TxnByLastCheck: byLastCheck, entry.TxnByAdmin: byAdmin}

// ended derives the end of a transaction. Like a cancel it names the place of a copy: the half message's.
func (d *Deriver) ended(e *entry.TxnEnd) error {
	d.step = trail.StoredStep{RecordedMicros: d.batch, Step: trail.Step{
		Name: decisions[e.Decision], Client: e.Client, AtMicros: e.AtMillis * 1000, Status: statusOk, Source: sourceBroker, Detail: deciders[e.How],
		Position: d.record.Pos, Broker: d.o.Broker, Place: e.Position,
	}}
	if e.Decision == entry.TxnParked {
		d.step.Status, d.step.Error = statusError, "undecided"
	}
	d.out.Step(&d.step)
	return nil
}

// checked derives the question to a producer what became of a transaction.
func (d *Deriver) checked(c *entry.TxnCheck) error {
	d.step = trail.StoredStep{RecordedMicros: d.batch, Step: trail.Step{
		Name: trail.StepCheck, Group: c.Group, Client: c.Client, AtMicros: c.AtMillis * 1000, Attempt: attempt(int64(c.Times) - 1), Status: statusUnset,
		Source: sourceBroker, Position: d.record.Pos, Broker: d.o.Broker, Place: c.Position,
	}}
	if c.Client == "" {
		d.step.Status, d.step.Error = statusError, errNoProducer
	}
	d.out.Step(&d.step)
	return nil
}
