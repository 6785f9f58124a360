package clickhouse

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Limits of one life.
const (
	copiesMax     = 64
	rangesMax     = 2000
	stepsMax      = 2000
	happeningsMax = 500
)

// Life implements trail.Reader: first the message's rows by the index on its id, then what lies around their offsets.
func (s *Store) Life(ctx context.Context, id string) (trail.Life, error) {
	l := trail.Life{
		Messages: []trail.Message{}, Deliveries: []trail.Delivery{}, Settlements: []trail.Settlement{}, Steps: []trail.Step{},
		Happenings: []trail.Happening{}, NotRecorded: []trail.Shipped{}, ShippedTo: s.Progress().ShippedToMicros,
	}
	err := s.life(ctx, id, &l)
	switch {
	case err != nil:
		l.Answer, l.Reason = trail.Failed, reason(err)
	case len(l.Messages) == 0 && len(l.Steps) == 0:
		now := time.Now()
		from := now.Add(-s.o.KeepFor)
		if born, ok := bornAt(id, now); ok {
			from = born
		}
		l.Answer, l.Reason = s.whyNothing(ctx, from.UnixMicro(), now.UnixMicro(), "")
	default:
		l.Answer = trail.Found
	}
	return l, nil
}

func (s *Store) life(ctx context.Context, id string, l *trail.Life) error {
	var err error
	if l.Messages, err = s.copies(ctx, id); err != nil {
		return err
	}
	if len(l.Messages) > 0 {
		id = l.Messages[0].ID
		l.TraceID = trail.TraceIDOf(&l.Messages[0])
	}
	ask := []func(context.Context) error{func(c context.Context) (err error) { l.Steps, err = s.steps(c, id, l.Messages); return err }}
	if len(l.Messages) > 0 {
		ask = append(ask,
			func(c context.Context) (err error) { l.Deliveries, err = s.deliveriesOf(c, l.Messages); return err },
			func(c context.Context) (err error) { l.Settlements, err = s.settlementsOf(c, l.Messages); return err },
			func(c context.Context) (err error) { l.NotRecorded, err = s.holesOf(c, l.Messages); return err })
	}
	if err := together(ctx, ask); err != nil {
		return err
	}
	l.Happenings, err = s.happeningsOf(ctx, l)
	return err
}

// together runs functions at the same time and waits for all; the first failure ends the others.
func together(ctx context.Context, all []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, f := range all {
		running.Go(func() {
			if errs[i] = f(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

func (s *Store) holesOf(ctx context.Context, messages []trail.Message) ([]trail.Shipped, error) {
	var topics []string
	for i := range messages {
		topics = append(topics, messages[i].Topic)
	}
	return s.holes(ctx, messages[0].AppendedMicros, time.Now().UnixMicro(), topics...)
}

// copies are the rows of one identity, oldest first. The time in a client's id bounds the search where it can be read;
// when that finds no first copy, clocks may differ and everything is searched.
func (s *Store) copies(ctx context.Context, id string) ([]trail.Message, error) {
	now := time.Now()
	if born, ok := bornAt(id, now); ok && now.Sub(born)+bornSlack < s.o.KeepFor {
		after := born.Add(-bornSlack)
		found, err := s.find(ctx, "id = {id:String} AND appended >= "+microsParam("after"), arg("id", id), arg("after", after.UnixMicro()))
		if err != nil || (len(found) > 0 && found[0].ReconsumeTimes == 0) {
			return found, err
		}
	}
	storeKey, position, isOffsetID := splitOffsetID(id)
	var byID, byPosition []trail.Message
	ask := []func(context.Context) error{func(c context.Context) (err error) {
		byID, err = s.find(c, "id = {id:String}", arg("id", id))
		return err
	}}
	if isOffsetID {
		ask = append(ask, func(c context.Context) (err error) {
			byPosition, err = s.find(c, "position = {position:Int64} AND store_key = {storeKey:String}", arg("position", position), arg("storeKey", storeKey))
			return err
		})
	}
	err := together(ctx, ask)
	if err != nil || len(byID) > 0 || len(byPosition) == 0 || byPosition[0].ID == id {
		return byID, err
	}
	return s.find(ctx, "id = {id:String}", arg("id", byPosition[0].ID))
}

func (s *Store) find(ctx context.Context, where string, args ...any) ([]trail.Message, error) {
	return collect(ctx, s, scanMessage, fmt.Sprintf("SELECT %s FROM %s.messages WHERE %s ORDER BY appended, position LIMIT %d", messageColumns, s.o.Database, where, copiesMax), args...)
}

// around is a filter for the ranges that hold any of the copies.
func around(messages []trail.Message, f *filter) {
	var any []string
	for i := range messages {
		m := &messages[i]
		if m.Hidden() {
			continue // nobody is handed what waits
		}
		n := fmt.Sprint(i)
		any = append(any, fmt.Sprintf("(broker IN ({broker%s:String}, '') AND topic = {topic%s:String} AND queue_id = {queue%s:Int32} AND bucket IN ({bucket%s:Int64}, %d) AND from_offset <= {offset%s:Int64} AND to_offset > {offset%s:Int64})",
			n, n, n, n, noBucket, n, n))
		f.args = append(f.args, arg("broker"+n, m.Broker), arg("topic"+n, m.Topic), arg("queue"+n, m.QueueID), arg("bucket"+n, m.QueueOffset/bucketSize), arg("offset"+n, m.QueueOffset))
	}
	if len(any) == 0 {
		any = []string{"0"}
	}
	f.terms = append(f.terms, "("+strings.Join(any, " OR ")+")")
}

func (s *Store) deliveriesOf(ctx context.Context, messages []trail.Message) ([]trail.Delivery, error) {
	f := &filter{}
	around(messages, f)
	return collect(ctx, s, scanDelivery, fmt.Sprintf("SELECT %s FROM %s.deliveries WHERE %s ORDER BY sent LIMIT %d", deliveryColumns, s.o.Database, f.where(), rangesMax), f.args...)
}

func (s *Store) settlementsOf(ctx context.Context, messages []trail.Message) ([]trail.Settlement, error) {
	f := &filter{}
	around(messages, f)
	return collect(ctx, s, scanSettlement, fmt.Sprintf("SELECT %s FROM %s.settlements WHERE %s ORDER BY at LIMIT %d", settlementColumns, s.o.Database, f.where(), rangesMax), f.args...)
}

// steps are one identity's, and those of the places where its copies wait. A processing that has ended is told once: its begin is left out.
func (s *Store) steps(ctx context.Context, id string, copies []trail.Message) ([]trail.Step, error) {
	names, args := []string{"{id:String}"}, []any{arg("id", id)}
	for i := range copies {
		if m := &copies[i]; m.Hidden() {
			name := fmt.Sprint("place", i)
			names, args = append(names, "{"+name+":String}"), append(args, arg(name, placeID(m.Broker, m.Position)))
		}
	}
	all, err := collect(ctx, s, scanStep, fmt.Sprintf("SELECT %s FROM %s.steps WHERE id IN (%s) ORDER BY at, recorded LIMIT %d", stepColumns, s.o.Database, strings.Join(names, ", "), stepsMax), args...)
	if err != nil {
		return all, err
	}
	for i := range all {
		all[i].ID = id
	}
	ended := map[string]bool{}
	for i := range all {
		if st := &all[i]; st.Name == trail.StepProcess && st.DurationMicros >= 0 {
			ended[st.Detail] = true
		}
	}
	return slices.DeleteFunc(all, func(st trail.Step) bool {
		return st.Name == trail.StepProcess && st.DurationMicros < 0 && ended[st.Detail]
	}), nil
}

// happenedAround is how long before and after a life its groups' happenings may explain it.
const happenedAround = time.Minute

// happeningsOf are those of the groups that the message was handed to, and the broker's own, within its life; of topics only those that it was
// or is meant to be in: that others are made or changed explains nothing.
func (s *Store) happeningsOf(ctx context.Context, l *trail.Life) ([]trail.Happening, error) {
	if len(l.Messages) == 0 {
		return []trail.Happening{}, nil
	}
	from, to := l.Messages[0].AppendedMicros, int64(0)
	groups, topics := []string{""}, []string{""}
	for i := range l.Messages {
		m := &l.Messages[i]
		topics, to = append(topics, m.Topic, m.RealTopic, m.OriginTopic), max(to, m.AppendedMicros)
	}
	for i := range l.Deliveries {
		groups, to = append(groups, l.Deliveries[i].Group), max(to, l.Deliveries[i].SentMicros)
	}
	for i := range l.Settlements {
		groups, to = append(groups, l.Settlements[i].Group), max(to, l.Settlements[i].AtMicros)
	}
	for i := range l.Steps {
		to = max(to, l.Steps[i].AtMicros)
	}
	slices.Sort(groups)
	slices.Sort(topics)
	groups, topics = slices.Compact(groups), slices.Compact(topics)
	return collect(ctx, s, scanHappening, fmt.Sprintf("SELECT %s FROM %s.happenings WHERE at >= %s AND at <= %s AND has({groups:Array(String)}, group_name) AND has({topics:Array(String)}, topic) AND (group_name != '' OR client = '') AND (kind != '%s' OR detail['%s'] IN ('', {broker:String})) ORDER BY at LIMIT %d",
		happeningColumns, s.o.Database, microsParam("from"), microsParam("to"), trail.KindLeaderChange, trail.DetailBroker, happeningsMax),
		arg("broker", l.Messages[0].Broker),
		arg("from", from-happenedAround.Microseconds()), arg("to", to+happenedAround.Microseconds()), arg("groups", groups), arg("topics", topics))
}

// Forms of client ids (rocketmq.md 3.1) and the slack for clocks and time zones: a remoting client counts from the begin of
// the month where it lives.
const (
	bornSlack    = 48 * time.Hour
	grpcIDLength = 34
)

var grpcEpoch = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)

// bornAt is about when a client made an id, up to bornSlack off; false when the id does not say.
func bornAt(id string, now time.Time) (time.Time, bool) {
	raw, err := hex.DecodeString(id)
	if err != nil {
		return time.Time{}, false
	}
	switch len(id) {
	case 32, 56: // address 4 or 16 | pid 2 | hash 4 | ms since the begin of a month 4 | counter 2
		at := len(raw) - 6
		since := time.Duration(binary.BigEndian.Uint32(raw[at:])) * time.Millisecond
		month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
		born := month.Add(since)
		if born.After(now.Add(bornSlack)) {
			born = month.AddDate(0, -1, 0).Add(since)
		}
		if since > 32*24*time.Hour || born.After(now.Add(bornSlack)) {
			return time.Time{}, false
		}
		return born, true
	case grpcIDLength: // 01 | mac 6 | pid 2 | seconds since 2021 4 | sequence 4
		born := grpcEpoch.Add(time.Duration(binary.BigEndian.Uint32(raw[9:])) * time.Second)
		if raw[0] != 1 || born.After(now.Add(bornSlack)) {
			return time.Time{}, false
		}
		return born, true
	}
	return time.Time{}, false
}
