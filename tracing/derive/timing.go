package derive

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/tracing/trail"
)

const sourceBroker = "broker"

// propRolls is how often a message was parked again, RocketMQ's name.
const propRolls = "TIMER_ROLL_TIMES"

const dueMax = 9_999_999_999_999 // ms; the year 2286, as the timer's

// timer derives a command of the timer. A fire says nothing of its own: what it fires stands in the same entry. A cancel names a place,
// not a message: who reads the trail knows which copy was parked there.
func (d *Deriver) timer(k entry.Kind, body []byte) error {
	if k == entry.KindTimerFire {
		f, err := entry.DecodeTimerFire(body)
		d.fire = f
		return err
	}
	place, client, err := entry.DecodeTimerCancel(body)
	if err != nil {
		return err
	}
	d.step = trail.StoredStep{RecordedMicros: d.batch, Step: trail.Step{
		Name: trail.StepCancel, Client: view(client), AtMicros: d.batch, Status: statusOk, Source: sourceBroker, Position: d.record.Pos, Broker: d.o.Broker, Place: place.Pos,
	}}
	d.out.Step(&d.step)
	return nil
}

// timing says what a copy has to do with the timer. Retries and dead letters keep what an earlier firing left in their properties: only
// what is parked, and what comes in one entry with the command that fires it, is called so.
func (d *Deriver) timing(o entry.Origin) {
	m := &d.row.Message
	m.TakePopGroup()
	if m.OriginTopic != "" && m.Owner() == "" && !trail.Parks(m.Topic) {
		m.OriginTopic = "" // somebody consumed a retry and sent it on with its properties
	}
	if m.ReconsumeTimes > 0 || m.Owner() == "" || m.Dead() {
		m.ResentFrom, m.ResentBy = "", "" // later retries keep the properties of what was resent
	}
	switch {
	case trail.Parks(m.Topic) && m.RealTopic != "" && m.DueMicros > 0:
		m.Timing = trail.TimingParked
		if d.rolled && o.ProducerRef == 0 {
			m.Timing = trail.TimingRolled
		}
	case m.TransactionTiming() != "":
		m.Timing, m.DueMicros = m.TransactionTiming(), 0
	case d.fires(m, o):
		m.Timing = trail.TimingFired
	default:
		m.RealTopic, m.RealQueueID, m.DueMicros = "", 0, 0
	}
	if m.OriginTopic != "" && m.Type == TypeDelay {
		m.Type = TypeNormal // a retry waits by a delay level
	}
}

// fires says whether a copy was stored by the entry's fire: nobody sent it.
func (d *Deriver) fires(m *trail.Message, o entry.Origin) bool {
	due := m.DueMicros / 1000
	return d.fire.To.Due > 0 && o.ProducerRef == 0 && m.Topic == m.RealTopic && due >= d.fire.From.Due && due <= d.fire.To.Due
}

// dueMicros reads a due time; 0: it is none.
func dueMicros(value []byte) int64 {
	due, err := strconv.ParseInt(view(value), 10, 64)
	if err != nil || due < 0 || due > dueMax {
		return 0
	}
	return due * 1000
}

func queueID(value []byte) int32 {
	id, err := strconv.ParseInt(view(value), 10, 32)
	if err != nil {
		return 0
	}
	return int32(id)
}
