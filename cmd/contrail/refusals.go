package main

import (
	"strconv"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/remoting"
)

// refusals folds refused requests into at most one happening a second for each request code and client, so that a client
// that repeats its mistake does not flood the trail.
type refusals struct {
	notes *notes.Log
	mu    sync.Mutex
	rows  map[refusalKey]*refusal
}

type refusalKey struct {
	code   int
	client string
}

type refusal struct {
	since time.Time
	count uint32
}

const refusalKeysMax = 10_000

func newRefusals(l *notes.Log) *refusals {
	return &refusals{notes: l, rows: map[refusalKey]*refusal{}}
}

func (r *refusals) refused(x remoting.Refusal) {
	now, k := time.Now(), refusalKey{x.Request, x.Client}
	if x.Client == "" {
		k.client = x.Addr
	}
	r.mu.Lock()
	row := r.rows[k]
	if row == nil {
		if len(r.rows) >= refusalKeysMax {
			clear(r.rows)
		}
		row = &refusal{}
		r.rows[k] = row
	}
	row.count++
	count := row.count
	told := now.Sub(row.since) >= time.Second
	if told {
		row.since, row.count = now, 0
	}
	r.mu.Unlock()
	if told {
		r.notes.NoteHappening(&notes.Happening{
			AtMicros: now.UnixMicro(), Kind: "refusal", Topic: x.Topic, Group: x.Group, Client: x.Client, Addr: x.Addr, Text: x.Text, Count: count,
			Detail: map[string]string{"requestCode": strconv.Itoa(x.Request)},
		})
	}
}
