// Package derivetest makes logs, notes and rows for tests of the trail: a Log is a broker's log in memory whose entries are
// formed as the broker forms them, Rows is a Sink that keeps copies.
//
// Goroutines: none; Log is safe for concurrent use, Rows is not.
package derivetest

import (
	"net/netip"
	"strconv"
	"sync"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
)

// Message is one message to append; its queue offset and position are the log's to decide.
type Message struct {
	Topic, ID, Tag, Keys string
	Queue                int32
	Body                 []byte
	Properties           []string // name, value pairs besides ID, Tag and Keys
	SysFlag              int32
	Retries              int32
	Producer             uint32
	BornMillis           int64
	WaitedMicros         uint32
}

// Log is a log in memory.
type Log struct {
	mu      sync.Mutex
	first   uint64
	records []entry.Record
	next    map[string]int64 // queue offsets
	pos     int64
	term    uint64
	err     error // what Read answers, when set
}

// StoreHost and BornHost are those of all messages.
var (
	StoreHost = netip.MustParseAddrPort("127.0.0.1:10911")
	BornHost  = netip.MustParseAddrPort("10.0.0.7:40123")
)

const recordHeader = 48

// NewLog is an empty log whose first entry has index 1.
func NewLog() *Log { return &Log{first: 1, term: 1, next: map[string]int64{}} }

// Command is one command of an entry.
type Command struct {
	Kind entry.Kind
	Body []byte
}

// Define is the command that gives a producer ref its meaning.
func Define(p entry.Producer) Command {
	return Command{entry.KindProducer, entry.AppendProducer(nil, &p)}
}

// Commit is the command that commits offsets.
func Commit(offsets ...entry.Offset) Command { return Command{entry.KindOffsets, encode(offsets)} }

// Reset is the command that resets offsets.
func Reset(offsets ...entry.Offset) Command { return Command{entry.KindOffsetReset, encode(offsets)} }

func encode(offsets []entry.Offset) (b []byte) {
	for i := range offsets {
		b = entry.AppendOffset(b, &offsets[i])
	}
	return b
}

// Append forms one entry and commits it.
func (l *Log) Append(nowMicros int64, commands []Command, messages ...Message) entry.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b entry.Builder
	for _, c := range commands {
		b.Command(c.Kind, c.Body)
	}
	payload := b.Start(nil, nowMicros, len(messages))
	base := l.pos + recordHeader
	for i := range messages {
		m := &messages[i]
		b.SetOrigin(payload, i, entry.Origin{ProducerRef: m.Producer, WaitedMicros: m.WaitedMicros})
		at := len(payload)
		payload = message.Append(payload, m.draft())
		key := m.Topic + "\x00" + strconv.Itoa(int(m.Queue))
		message.Place(message.View(payload[at:]), m.Queue, l.next[key], base+int64(at), nowMicros/1000)
		l.next[key]++
	}
	return l.add(payload)
}

func (m *Message) draft() *message.Draft {
	var run []byte
	for _, p := range [][2]string{{message.PropUniqKey, m.ID}, {message.PropTags, m.Tag}, {message.PropKeys, m.Keys}} {
		if p[1] != "" {
			run = message.AppendProperty(run, p[0], p[1])
		}
	}
	for i := 0; i+1 < len(m.Properties); i += 2 {
		run = message.AppendProperty(run, m.Properties[i], m.Properties[i+1])
	}
	return &message.Draft{
		Topic: []byte(m.Topic), Body: m.Body, Properties: run, QueueID: m.Queue, SysFlag: m.SysFlag, BornTime: m.BornMillis,
		BornHost: BornHost, StoreHost: StoreHost, ReconsumeTimes: m.Retries,
	}
}

// Raw appends an entry with any payload.
func (l *Log) Raw(payload []byte) entry.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(payload)
}

func (l *Log) add(payload []byte) entry.Record {
	r := entry.Record{Index: l.first + uint64(len(l.records)), Term: l.term, Pos: l.pos, DataPos: l.pos + recordHeader, Data: payload}
	l.records = append(l.records, r)
	l.pos += recordHeader + int64(len(payload)+7)&^7
	return r
}

// Drop removes entries before an index, as retention does.
func (l *Log) Drop(before uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(int(before-l.first), len(l.records))
	l.records, l.first = l.records[n:], l.first+uint64(n)
}

// Truncate removes the entries behind index, as a crash may that the disk did not see them before; what comes next is of
// the next term.
func (l *Log) Truncate(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int(index - l.first + 1)
	l.pos = l.records[n].Pos
	for i := n; i < len(l.records); i++ {
		b, err := entry.Decode(l.records[i].Data)
		if err != nil {
			continue
		}
		_ = b.Messages(func(_ int, v message.View, _ entry.Origin) error {
			l.next[string(v.Topic())+"\x00"+strconv.Itoa(int(v.QueueID()))]--
			return nil
		})
	}
	l.records = l.records[:n]
	l.term++
}

// Fail makes reads answer an error; nil ends it.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// First is the oldest entry kept.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// Committed is the newest entry.
func (l *Log) Committed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first + uint64(len(l.records)) - 1
}

// Read gives entries from an index on, as the broker's log does.
func (l *Log) Read(from uint64, maxBytes int, f func(entry.Record) error) (uint64, error) {
	for read := 0; read < maxBytes; {
		l.mu.Lock()
		err, first, n := l.err, l.first, uint64(len(l.records))
		var r entry.Record
		if from >= first && from < first+n {
			r = l.records[from-first]
		}
		l.mu.Unlock()
		switch {
		case err != nil:
			return from, err
		case from < first:
			return from, seglog.ErrCompacted
		case from >= first+n:
			return from, nil
		}
		if err := f(r); err != nil {
			return from, err
		}
		read += len(r.Data) + recordHeader
		from++
	}
	return from, nil
}
