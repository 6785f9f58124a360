package complain

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	kindsMax = 256 // that are told apart
	others   = ""  // all beyond them are one
)

// Log is a log that says one thing only now and then.
type Log struct {
	log    *slog.Logger
	prefix string

	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	last   time.Time
	untold int // lines since then
}

// New writes to log, each line behind prefix.
func New(log *slog.Logger, prefix string) *Log {
	return &Log{log: log, prefix: prefix, kinds: map[string]*kind{}}
}

// Warn logs, unless it did for this key less than every ago. A line behind others that were left out says how many, as "untold".
func (l *Log) Warn(key string, every time.Duration, msg string, args ...any) {
	untold, due := l.due(key, every, time.Now())
	if !due {
		return
	}
	if untold > 0 {
		args = append(slices.Clip(args), "untold", untold)
	}
	l.log.Warn(l.prefix+msg, args...)
}

func (l *Log) due(key string, every time.Duration, now time.Time) (untold int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dueLocked(key, every, now)
}

func (l *Log) dueLocked(key string, every time.Duration, now time.Time) (untold int, due bool) {
	k := l.kinds[key]
	if k != nil && now.Sub(k.last) < every {
		k.untold++
		return 0, false
	}
	if k == nil && len(l.kinds) >= kindsMax && key != others {
		return l.dueLocked(others, every, now)
	}
	if k == nil {
		k = &kind{}
		l.kinds[key] = k
	}
	untold = k.untold
	k.last, k.untold = now, 0
	return untold, true
}
