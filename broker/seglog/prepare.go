package seglog

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
)

// preparer makes the file of the next segment ahead of need: allocated, and filled with zeros when the log's syncs are
// small, because a write into unwritten space makes every fdatasync pay the file system's journal.
type preparer struct {
	kick  chan struct{}
	done  chan struct{}
	asked atomic.Int32 // a preparing: none is wanted yet, or a file with zeros, or one without
	ready atomic.Bool  // the file is there
	mu    sync.Mutex   // held while the file is made or taken
	hurry atomic.Bool  // the file is wanted now, filled or not
	quit  sync.Once
	file  vfs.File
}

const (
	notYet int32 = iota
	filled
	bare
)

// prepareShare of the active segment is written before the next one is prepared, so that its syncs tell what to prepare.
const prepareShare = 8

// largeSync is the mean bytes of a sync from which zeros are not worth writing: the journal's price is paid once per sync,
// that of the zeros once per byte. At 20 KiB a sync a log without zeros takes a tenth more CPU and time; at hundreds of KiB
// it takes no more of either, and half the writes. Between the two there is little to win.
const largeSync = 64 << 10

// sample is where the count of bytes and syncs that decides begins: at the active segment's begin, or when the log was opened.
type sample struct {
	at    uint32 // of the file
	syncs int64
}

// wanted decides whether the next segment is filled, from the bytes and the syncs that the active one was seen to have.
func wanted(bytes, syncs int64) int32 {
	if bytes < largeSync*max(syncs, 1) {
		return filled
	}
	return bare
}

// askNext has the next segment prepared when it is time for it.
func (l *Log) askNext() {
	if int64(l.stageAt) < l.opts.SegmentBytes/prepareShare || l.prepare.asked.Load() != notYet {
		return
	}
	l.prepare.asked.Store(wanted(int64(l.stageAt)-int64(l.seen.at), l.syncs.Count.Load()-l.seen.syncs))
	l.prepare.wake()
}

func (l *Log) preparedName() string { return filepath.Join(l.dir, prepared) }

func (l *Log) startPreparer() {
	if l.opts.Foreground || l.opts.ReadOnly {
		return
	}
	l.prepare.kick, l.prepare.done = make(chan struct{}, 1), make(chan struct{})
	l.seen.at = l.stageAt
	go l.prepareLoop()
	l.askNext()
}

func (p *preparer) wake() {
	if p.kick == nil {
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

func (p *preparer) stop() {
	if p.kick == nil {
		return
	}
	p.hurry.Store(true)
	p.quit.Do(func() { close(p.kick) })
	<-p.done
}

// hold ends a filling that is under way, and keeps the preparer from its work until what it returns is called.
func (p *preparer) hold() (release func()) {
	p.hurry.Store(true)
	p.mu.Lock()
	p.hurry.Store(false)
	return p.mu.Unlock
}

const sayEvery = time.Minute // that the disk is still full

// prepareLoop makes one file per kick and tries again every second while the disk is full.
func (l *Log) prepareLoop() {
	defer close(l.prepare.done)
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	var said time.Time
	for {
		select {
		case _, ok := <-l.prepare.kick:
			if !ok {
				return
			}
		case <-retry.C:
		}
		asked := l.prepare.asked.Load()
		if asked == notYet || l.prepare.ready.Load() {
			continue
		}
		l.prepare.mu.Lock()
		err := l.makePrepared(asked == filled)
		l.prepare.mu.Unlock()
		if err != nil && time.Since(said) > sayEvery {
			said = time.Now()
			l.opts.Log.Warn("next segment cannot be prepared; sends are refused when the active one is full", "err", err)
		}
	}
}

func (l *Log) makePrepared(zeros bool) error {
	if l.prepare.file != nil {
		return nil
	}
	f, err := l.fs.Create(l.preparedName())
	if err != nil {
		return err
	}
	if err = f.Allocate(l.opts.SegmentBytes); err == nil && zeros {
		err = writeZeros(f, l.opts.SegmentBytes, l.prepare.hurry.Load)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		_ = l.fs.Remove(l.preparedName()) // give the space back; the next try makes it anew
		return err
	}
	l.prepare.file = f
	l.prepare.ready.Store(true)
	return nil
}

// restShare is how many times as long as a write of zeros took the disk is left to others before the next one: filled
// at once, a segment holds up every sync meanwhile. A rest is short, because who wants the file waits for it.
const (
	restShare = 2
	restMax   = 20 * time.Millisecond
)

// writeZeros writes them until the file has so many bytes, or its maker is hurried.
func writeZeros(f vfs.File, size int64, hurried func() bool) error {
	for at := int64(0); at < size && !hurried(); at += vfs.ZeroChunk {
		began := time.Now()
		if err := f.Zero(at, min(at+vfs.ZeroChunk, size)); err != nil {
			return err
		}
		time.Sleep(min(restShare*time.Since(began), restMax))
	}
	return nil
}

// newSegment takes the prepared file (or makes one) under its final name. The header is not written yet.
func (l *Log) newSegment(h segmentHeader) (*segment, error) {
	defer l.prepare.hold()()
	return l.newSegmentLocked(h)
}

func (l *Log) newSegmentLocked(h segmentHeader) (*segment, error) {
	if err := l.makePrepared(false); err != nil {
		return nil, err
	}
	h.salt = l.opts.Salt()
	s := &segment{segmentHeader: h, name: segmentName(l.dir, h.seq), file: l.prepare.file}
	l.prepare.file = nil
	l.prepare.ready.Store(false)
	l.prepare.asked.Store(notYet)
	if err := l.fs.Rename(l.preparedName(), s.name); err != nil {
		return nil, err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return nil, err
	}
	s.mu.loaded, s.mu.last, s.mu.endPos, s.mu.end = true, h.firstIndex-1, h.firstPos, SegmentHeaderSize
	return s, nil
}

// HasRoom says whether an entry of n bytes can be appended: it fits into the active segment, or the next one is prepared,
// or the file system has space for it and a quarter more. The log's own goroutine may ask.
func (l *Log) HasRoom(n int64) bool {
	if l.SegmentRoom() >= n || l.prepare.ready.Load() {
		return true
	}
	_, free, err := l.fs.Usage(l.dir)
	return err != nil || free >= l.opts.SegmentBytes+l.opts.SegmentBytes/4
}
