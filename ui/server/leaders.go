package server

import (
	"context"
	"time"

	"github.com/contrailmq/contrail/diagnostics/verdict"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// leadersMax bounds the leaderships in a life, the oldest are kept: they are those of its storing.
const leadersMax = 100

// tellLeaders puts in who led the message's broker group within its life, when that was not one member all the time.
func (s *Server) tellLeaders(ctx context.Context, out *api.MessageLife) {
	reader, ok := s.o.Trail.(trail.Leaders)
	if !ok || out.Life.Answer == trail.Failed {
		return
	}
	from, to := window(out)
	all, err := reader.Leaders(ctx, out.Life.Messages[0].Broker, from, to)
	if err != nil {
		out.LeadersReason = clip(err.Error())
		return
	}
	var list []trail.Leadership
	for _, l := range all {
		if l.FromMicros <= to && (l.ToMicros == 0 || l.ToMicros+l.GapMicros >= from) {
			list = append(list, l)
		}
	}
	if len(list) > 1 || len(list) == 1 && list[0].ToMicros > 0 && list[0].ToMicros < to {
		out.Leaders = list[:min(len(list), leadersMax)]
	}
}

// window is the time of a life, in µs: until the last that is recorded of it, or until now when something is still to come.
func window(l *api.MessageLife) (from, to int64) {
	for i := range l.Life.Messages {
		m := &l.Life.Messages[i]
		if from == 0 {
			from = max(m.ReceivedMicros, 0)
		}
		if from == 0 {
			from = m.AppendedMicros
		}
		to = max(to, m.AppendedMicros, m.SyncedMicros, m.AckedMicros)
	}
	for i := range l.Life.Deliveries {
		to = max(to, l.Life.Deliveries[i].SentMicros)
	}
	for i := range l.Life.Settlements {
		to = max(to, l.Life.Settlements[i].AtMicros)
	}
	for i := range l.Life.Steps {
		to = max(to, l.Life.Steps[i].AtMicros+l.Life.Steps[i].DurationMicros)
	}
	for i := range l.Verdicts {
		if toCome(l.Verdicts[i].State) {
			to = max(to, l.Now*time.Millisecond.Microseconds())
		}
	}
	return from, to
}

// toCome says that a message in this state is not done with.
func toCome(s verdict.State) bool {
	switch s {
	case verdict.Scheduled, verdict.Waiting, verdict.Offline, verdict.Delivered, verdict.Retrying:
		return true
	}
	return false
}
