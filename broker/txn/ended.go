package txn

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// ErrDecided is an end of what was decided the same before: success without any effect.
var ErrDecided = errors.New("it was decided the same before")

// ErrClock is a wish that may not be an end yet, though it might have been a moment ago.
var ErrClock = errors.New("the clock went back")

// MayEnd is CanEnd with ErrDecided for what was decided the same before.
func (t *Table) MayEnd(now, timeout int64, w *Wish) error {
	_, again, err := t.CanEnd(now, timeout, w)
	if err == nil && again {
		err = ErrDecided
	}
	return err
}

// Ended is what becomes of a half message that is not rolled back: with a commit the message that its producer sent, in its real topic and
// queue; given up, the half message as it is in ParkTopic. The draft aliases v.
func Ended(v message.View, d entry.TxnDecision) (message.Draft, error) {
	draft := message.DraftOf(v)
	draft.SysFlag, draft.PreparedOffset = v.SysFlag()&^message.FlagTxMask, v.QueueOffset()
	if d == entry.TxnParked {
		draft.Topic, draft.QueueID = []byte(ParkTopic), 0
		return draft, nil
	}
	topic, id := message.Property(draft.Properties, message.PropRealTopic), message.Property(draft.Properties, message.PropRealQueueID)
	queue, err := strconv.ParseInt(string(id), 10, 32)
	if err != nil || len(topic) == 0 {
		return draft, fmt.Errorf("half message %d has real topic %q and real queue %q", v.QueueOffset(), topic, id)
	}
	draft.Topic, draft.QueueID = topic, int32(queue)
	draft.SysFlag |= message.FlagTxCommit
	draft.Properties = message.Without(draft.Properties, message.PropTranMsg, message.PropRealTopic, message.PropRealQueueID)
	return draft, nil
}
