package shard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A group is founded when all its founders agreed on it with empty folders (ADR 10). Each draws a number for its folder. Who has heard the
// numbers of all endorses them, once for ever; who has heard that all endorsed the same numbers, its own among them, takes part. Before,
// a member neither votes nor takes entries. A founder whose folder was lost has another number: whoever is left of the group has endorsed
// the old one, so no second group can come to be beside it, whichever of its members were lost, as long as one is left.
const (
	foundingName  = "founding"
	foundingMax   = 64 << 10
	foundingEvery = 2   // ticks between two words
	foundingSay   = 100 // ticks until it is told what is waited for; then ten times as many
)

// founding is what a member knows of the founding of its group. It is the file, and what is told to others.
type founding struct {
	Number   uint64            `json:"number"` // of this folder
	Founders []uint64          `json:"founders"`
	Endorsed map[uint64]uint64 `json:"endorsed,omitempty"` // the founders' numbers
	Founded  bool              `json:"founded"`

	heard map[uint64]founding // what others told last
	ticks int
}

func (s *Shard) foundingName() string { return filepath.Join(s.opts.Dir, foundingName) }

// openFounding reads the file, or begins one. Who has a log, or promised to have one, belongs to a group. Who is no founder is let in by a
// change of members.
func (s *Shard) openFounding() error {
	f := &s.founding
	b, err := vfs.ReadFile(s.opts.FS, s.foundingName(), foundingMax)
	if err == nil {
		err = json.Unmarshal(b, f)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", s.foundingName(), err)
	}
	f.heard = map[uint64]founding{}
	if f.Founded || s.opts.Planted.FoundUnasked || s.opts.Aside == nil || s.belongs() {
		f.Founded = true
		return nil
	}
	if f.Number != 0 {
		return nil
	}
	f.Number, f.Founders = s.drawNumber(), s.opts.Voters
	return s.saveFounding(*f)
}

func (s *Shard) belongs() bool {
	return len(s.opts.Voters) < 2 || !slices.Contains(s.opts.Voters, s.opts.ID) || s.promise != nil || s.log.LastIndex() > 0 || s.log.HardState().Term > 0
}

func (s *Shard) drawNumber() uint64 {
	salt := s.opts.Salt
	if salt == nil {
		salt = rand.Uint32
	}
	return uint64(salt())<<32 | uint64(salt()) | 1
}

// saveFounding writes what shall be, and makes it so when it is written.
func (s *Shard) saveFounding(f founding) error {
	b, err := json.Marshal(&f)
	if err == nil {
		err = vfs.WriteFileAtomic(s.opts.FS, s.foundingName(), b)
	}
	if err == nil {
		s.founding = f
	}
	return err
}

// founded says that this member takes part in a group.
func (s *Shard) founded() bool { return s.founding.Founded }

// found is called with each tick: it tells the other founders what this member knows.
func (s *Shard) found() {
	f := &s.founding
	if f.Founded {
		return
	}
	if f.ticks++; f.ticks%foundingEvery == 0 {
		for _, id := range f.Founders {
			s.tellFounding(id)
		}
	}
	if f.ticks == foundingSay || f.ticks%(10*foundingSay) == 0 {
		s.opts.Log.Warn("the broker group is not founded yet: all founders must be heard at its very first start", "dir", s.opts.Dir, "founders", f.Founders, "not heard", f.missing(s.opts.ID))
		s.event("founding", fmt.Sprintf("the group is founded when all of members %v were heard; not heard yet: %v", f.Founders, f.missing(s.opts.ID)))
	}
}

func (f *founding) missing(own uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(f.Founders), func(id uint64) bool { return id == own || f.heard[id].Number != 0 })
}

func (s *Shard) tellFounding(to uint64) {
	if to == s.opts.ID {
		return
	}
	if b, err := json.Marshal(&s.founding); err == nil {
		s.opts.Aside(to, AsideFound, b)
	}
}

func (s *Shard) onFounding(a aside) {
	var h founding
	if len(a.body) > foundingMax || json.Unmarshal(a.body, &h) != nil {
		return
	}
	f := &s.founding
	switch {
	case f.Founded && !h.Founded:
		s.tellFounding(a.from)
	case f.Founded:
	case h.Founded:
		s.fail(s.meetGroup(a.from, h))
	case slices.Contains(f.Founders, a.from) && slices.Equal(h.Founders, f.Founders):
		f.heard[a.from] = h
		s.agree()
	}
}

// agree endorses when all founders were heard, and takes part when all endorsed the same. What cannot be written is tried again when
// somebody says something.
func (s *Shard) agree() {
	f := s.founding
	numbers := map[uint64]uint64{s.opts.ID: f.Number}
	for id, h := range f.heard {
		numbers[id] = h.Number
	}
	if f.Endorsed == nil && len(numbers) == len(f.Founders) {
		f.Endorsed = numbers
		s.savedFounding(f)
	}
	if f = s.founding; f.Endorsed == nil || len(numbers) < len(f.Founders) {
		return
	}
	for _, h := range f.heard {
		if !maps.Equal(h.Endorsed, f.Endorsed) {
			return
		}
	}
	s.beFounded(f)
}

func (s *Shard) savedFounding(f founding) bool {
	err := s.saveFounding(f)
	if err != nil {
		s.opts.Log.Warn("what is known of the group's founding was not written; it is tried again", "dir", s.opts.Dir, "err", err)
	}
	return err == nil
}

func (s *Shard) beFounded(f founding) {
	if f.Founded = true; s.savedFounding(f) {
		s.event("founding", fmt.Sprintf("the group of members %v is founded", f.Founders))
	}
}

// meetGroup hears of a member that takes part already. When it knows this folder's number, all endorsed it, and this member missed that.
// When its group was founded by others, this member is none of the founders, whatever its settings say. Else its folder is not the
// one with which the group was founded: it takes no part.
func (s *Shard) meetGroup(from uint64, h founding) error {
	f := s.founding
	switch {
	case h.Endorsed[s.opts.ID] == f.Number:
		f.Endorsed = h.Endorsed
		s.beFounded(f)
	case len(h.Founders) > 0 && !slices.Contains(h.Founders, s.opts.ID):
		return s.joinLater(h.Founders)
	case f.heard[from].Number == 0 || !f.heard[from].Founded:
		f.heard[from] = h
		s.opts.Log.Error("the broker group was founded already, and not with this folder: this member takes no part; if its disk was lost, the node joins again under a new id", "dir", s.opts.Dir, "member", from)
		s.event("founding", fmt.Sprintf("member %d belongs to the group already, which was not founded with this folder: this member takes no part", from))
	}
	return nil
}

// joinLater makes this member one that waits to be added.
func (s *Shard) joinLater(founders []uint64) error {
	f := s.founding
	f.Founders, f.Founded = founders, true
	c := &checkpoint{Version: checkpointVersion, Voters: founders}
	if err := s.saveCheckpoint(c); err != nil || !s.savedFounding(f) {
		return nil // it is heard again
	}
	s.event("founding", fmt.Sprintf("the group was founded by members %v: this one waits to be added", founders))
	return s.startFrom(c)
}

// unfounded lets nothing of a group pass to a member that takes no part.
func (s *Shard) unfounded(m *pb.Message) (drop bool) { return !s.founded() && m.GetFrom() != s.opts.ID }
