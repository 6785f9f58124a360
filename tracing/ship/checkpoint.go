package ship

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/contrailmq/contrail/broker/vfs"
)

// boundary is a place in both sources.
type boundary struct {
	LogNext     uint64 `json:"logNext"`     // first entry behind it; 0: nothing read yet
	LogPosition int64  `json:"logPosition"` // where that entry begins
	LogTerm     uint64 `json:"logTerm"`     // of the entry before it
	LogMicros   int64  `json:"logMicros"`   // when the entry before it was formed
	NotesNext   uint64 `json:"notesNext"`   // first note behind it
	NotesMicros int64  `json:"notesMicros"` // of the newest note before it
	TimesFrom   uint64 `json:"timesFrom"`   // notes from here on hold times of entries behind it
}

// checkpoint is what survives a restart besides the deriver's state.
type checkpoint struct {
	Version     int       `json:"version"`
	Incarnation string    `json:"incarnation"` // of the checkpoint: part of all tokens, so that a log made anew is not taken for the old one
	Done        boundary  `json:"done"`
	Logged      boundary  `json:"logged"` // as Done, without what gave no rows since: where the next row of ship_log begins
	Intent      *boundary `json:"intent"` // end of the block that is about to be written; nil: none
	Rows        uint64    `json:"rows"`
	NotRecorded uint64    `json:"notRecorded"`
}

const (
	checkpointVersion = 1
	checkpointMax     = 1 << 20
	stateMax          = 1 << 30
)

// loadCheckpoint reads the file; absent: a checkpoint before everything.
func loadCheckpoint(f vfs.FS, path string) (checkpoint, error) {
	c := checkpoint{Version: checkpointVersion}
	b, err := vfs.ReadFile(f, path, checkpointMax)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("ship: checkpoint: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("ship: checkpoint %s: %w", path, err)
	}
	if c.Version != checkpointVersion {
		return c, fmt.Errorf("ship: checkpoint %s has version %d, this one knows %d", path, c.Version, checkpointVersion)
	}
	return c, nil
}

func (c *checkpoint) save(f vfs.FS, path string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("ship: checkpoint: %w", err)
	}
	if err := vfs.WriteFileAtomic(f, path, append(b, '\n')); err != nil {
		return fmt.Errorf("ship: checkpoint: %w", err)
	}
	return nil
}

// The state file: magic 8 | next entry 8 | next note 8 | CRC-32C of the rest 4 | deriver's state. It may be older than the
// checkpoint, never newer: what lies between is learned from the log and the notes again.
const (
	stateMagic  = "CTSHIP01"
	stateHeader = 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type savedState struct {
	logNext, notesNext uint64
	deriver            []byte
}

func (s *savedState) save(f vfs.FS, path string) error {
	b := append(make([]byte, 0, stateHeader+len(s.deriver)), stateMagic...)
	b = binary.LittleEndian.AppendUint64(b, s.logNext)
	b = binary.LittleEndian.AppendUint64(b, s.notesNext)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(s.deriver, castagnoli))
	if err := vfs.WriteFileAtomic(f, path, append(b, s.deriver...)); err != nil {
		return fmt.Errorf("ship: state: %w", err)
	}
	return nil
}

var errState = errors.New("ship: damaged state")

func loadState(f vfs.FS, path string) (savedState, error) {
	var s savedState
	b, err := vfs.ReadFile(f, path, stateMax)
	if err != nil {
		return s, err
	}
	if len(b) < stateHeader || string(b[:8]) != stateMagic || binary.LittleEndian.Uint32(b[24:]) != crc32.Checksum(b[stateHeader:], castagnoli) {
		return s, fmt.Errorf("%w: %s of %d bytes", errState, path, len(b))
	}
	s.logNext, s.notesNext, s.deriver = binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), b[stateHeader:]
	return s, nil
}
