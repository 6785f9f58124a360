package derive

import (
	"strings"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Sources and states of steps.
const (
	sourceClient = "client"
	statusUnset  = "Unset"
	statusOk     = "Ok"
	statusError  = "Error"
)

// consumeReturns are RocketMQ's ConsumeReturnType by ordinal; 0 is success.
var consumeReturns = [...]string{"", "TIME_OUT", "EXCEPTION", "RETURNNULL", "FAILED"}

// reports derives the steps that a trace message reports.
func (d *Deriver) reports(v message.View) {
	body, err := d.inflater.body(v)
	if err != nil {
		d.counters.BadReports++
		return
	}
	d.counters.BadReports += uint64(parseReports(body, d.reported))
}

func (d *Deriver) reported(r *report) {
	s := &d.step
	*s = trail.StoredStep{RecordedMicros: d.batch, Step: trail.Step{
		ID: r.id, Topic: r.topic, Group: r.group, Client: d.row.ProducerClient, Addr: r.clientHost, AtMicros: micros(r.millis),
		DurationMicros: unknown, Status: status(r.success), Source: sourceClient, Position: d.row.Position,
	}}
	if s.Addr == "" {
		s.Addr = d.row.ProducerAddr // who reported; the report does not say where it happened
	}
	switch r.kind {
	case reportPub:
		s.Name, s.Attempt, s.Detail = trail.StepSend, 1, r.offsetID
		s.DurationMicros = millisOf(r.costMillis)
		if r.success == isFalse {
			s.Error = "FAILED"
		}
	case reportSubBefore:
		d.began(r, s)
	case reportSubAfter:
		d.processed(r, s)
	case reportEndTransaction:
		s.Name, s.Detail = transactionStep(r.state), r.transactionID
		if r.fromCheck {
			s.Detail += " from check"
		}
	case reportRecall:
		s.Name = "recall"
	}
	d.out.Step(s)
}

func transactionStep(state string) string {
	switch state {
	case "COMMIT_MESSAGE":
		return "commit"
	case "ROLLBACK_MESSAGE":
		return "rollback"
	}
	return "end-transaction" // the client did not know yet
}

// began derives the start of a client's processing: a step without duration, until the client reports its end.
func (d *Deriver) began(r *report, s *trail.StoredStep) {
	s.Name, s.Detail, s.Attempt = trail.StepProcess, r.requestID, attempt(r.retries)
	d.pairs.put(r)
}

// processed derives a client's processing. Old clients say group, attempt and start only in the report before.
func (d *Deriver) processed(r *report, s *trail.StoredStep) {
	s.Name, s.Detail, s.DurationMicros = trail.StepProcess, r.requestID, millisOf(r.costMillis)
	if r.code > 0 && r.code < int64(len(consumeReturns)) {
		s.Error = consumeReturns[r.code]
	}
	s.AtMicros = 0
	if r.millis >= 0 && r.costMillis >= 0 {
		s.AtMicros = micros(r.millis - r.costMillis)
	}
	if b, ok := d.pairs.take(r.requestID, r.id); ok {
		s.Group, s.AtMicros, s.Attempt = b.group, micros(b.millis), attempt(b.retries)
		if b.clientHost != "" {
			s.Addr = b.clientHost
		}
	}
}

func attempt(retries int64) uint16 {
	if retries < 0 || retries >= 0xFFFF {
		return 0 // not known
	}
	return uint16(retries) + 1
}

func micros(millis int64) int64 {
	if millis < 0 || millis > 1<<52 {
		return 0 // not known
	}
	return millis * 1000
}

func millisOf(cost int64) int64 {
	if cost < 0 || cost > 1<<40 {
		return unknown
	}
	return cost * 1000
}

func status(t truth) string {
	switch t {
	case isTrue:
		return statusOk
	case isFalse:
		return statusError
	}
	return statusUnset
}

// pairsMax bounds the started processings that are remembered until their end is reported; the oldest go first.
const pairsMax = 1 << 14

// begun is what a SubBefore said.
type begun struct {
	key        pairKey
	millis     int64
	retries    int64
	group      string
	clientHost string
	live       bool
}

type pairKey struct{ request, id string }

// pairs is a ring of started processings.
type pairs struct {
	at   map[pairKey]int
	ring []begun
	next int
}

func (p *pairs) put(r *report) {
	if r.requestID == "" {
		return
	}
	p.add(begun{pairKey{strings.Clone(r.requestID), strings.Clone(r.id)}, r.millis, r.retries, strings.Clone(r.group), strings.Clone(r.clientHost), true})
}

func (p *pairs) add(b begun) {
	if p.at == nil {
		p.at = map[pairKey]int{}
	}
	if i, ok := p.at[b.key]; ok {
		p.ring[i] = b
		return
	}
	if len(p.ring) < pairsMax {
		p.at[b.key] = len(p.ring)
		p.ring = append(p.ring, b)
		return
	}
	if old := &p.ring[p.next]; old.live {
		delete(p.at, old.key)
	}
	p.ring[p.next], p.at[b.key] = b, p.next
	p.next = (p.next + 1) % pairsMax
}

func (p *pairs) take(request, id string) (begun, bool) {
	k := pairKey{request, id}
	i, ok := p.at[k]
	if !ok {
		return begun{}, false
	}
	b := p.ring[i]
	delete(p.at, k)
	p.ring[i] = begun{}
	return b, true
}
