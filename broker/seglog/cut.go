package seglog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A crash while a segment is cut may leave any mixture of what was there and of zeros: without a note of the cut that looks like
// damage. The hard state may be among the bytes that go, so the note holds it, too.
const (
	cutName = "cut"
	cutMax  = 4 << 10
)

type cutNote struct {
	Seq  uint64    `json:"seq"`
	End  uint32    `json:"end"`
	Hard HardState `json:"hard"`
}

func (l *Log) cutName() string { return filepath.Join(l.dir, cutName) }

func (l *Log) writeCut(s *segment, end uint32) error {
	b, err := json.Marshal(cutNote{s.seq, end, l.hard})
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(l.fs, l.cutName(), b)
}

// endCut says the hard state again and forgets the note. Both are durable when it returns.
func (l *Log) endCut() error {
	if err := l.SetHardState(l.hard); err != nil {
		return err
	}
	if err := l.Sync(); err != nil {
		return err
	}
	if l.opts.Planted.ForgetCut {
		return nil
	}
	if err := errors.Join(l.fs.Remove(l.cutName()), l.fs.SyncDir(l.dir)); err != nil {
		return l.fail("forget the cut", err)
	}
	return nil
}

// readCut gives the note of a cut that a crash interrupted, or nil.
func (l *Log) readCut(last *segment) (*cutNote, error) {
	b, err := vfs.ReadFile(l.fs, l.cutName(), cutMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	n := &cutNote{}
	if err == nil {
		err = json.Unmarshal(b, n)
	}
	if err == nil && n.Seq != last.seq {
		err = fmt.Errorf("it names segment %d, the newest is %d", n.Seq, last.seq)
	}
	if err != nil {
		return nil, fmt.Errorf("note of a cut: %w", err)
	}
	if l.opts.ReadOnly {
		return nil, errors.New("a cut of the log was not finished: start the broker first")
	}
	return n, nil
}
