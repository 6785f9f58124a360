package seglog

import "time"

// Dirty says whether something was written or staged since the last sync that ended.
func (l *Log) Dirty() bool { return len(l.stage) > 0 || l.synced != l.stageAt }

// Syncing is one fdatasync on its way.
type Syncing struct {
	log  *Log
	seg  *segment
	upto uint32
	cuts int
	err  error
	took time.Duration
}

// BeginSync flushes, and returns a sync to be Run on another goroutine while the log's own goroutine goes on writing;
// EndSync takes its result.
func (l *Log) BeginSync() (*Syncing, error) {
	if err := l.Flush(); err != nil {
		return nil, err
	}
	return &Syncing{log: l, seg: l.active, upto: l.stageAt, cuts: l.cuts}, nil
}

// Run makes durable what was written before BeginSync. It may run on any goroutine.
func (s *Syncing) Run() {
	began := time.Now()
	s.err = s.seg.file.Sync()
	s.took = time.Since(began)
}

// EndSync takes the result of a Run. An error stops the log.
func (l *Log) EndSync(s *Syncing) error {
	if s.cuts != l.cuts {
		return nil // the log was cut meanwhile, and synced with that
	}
	if s.err != nil {
		return l.fail("sync "+s.seg.name, s.err)
	}
	l.syncs.add(s.took)
	// A roll in between has synced the segment itself.
	if s.seg == l.active && s.upto > l.synced {
		l.synced = s.upto
	}
	return nil
}
