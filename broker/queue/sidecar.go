package queue

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Sidecar file (NNN.idx), little endian:
//
//	magic 8 | segment 8 | runs 4 | keys 4 | directory length 4 | CRC-32C of directory and key fences 4 | rows CRC 4 | timers 4
//	rows: { position 8 | size 4 | tag hash 4 | store time, ms 8 } of all runs, one run after the other
//	timers: see timers.go; a segment without parked messages has none
//	keys: { hash 8 | position 8 } sorted by hash, then position
//	directory: { topic length 2, topic | queue 4 | first offset 8 | count 8 | file offset of rows 8 | first position 8 | last store time 8 }
//
// The directory stands last so that rows have fixed places; its place follows from the counts.
const (
	sidecarMagic  = 0x3158444952544e43
	sidecarHeader = 40
	rowBytes      = 24
	keyBytes      = 16
	directoryMax  = 256 << 20
)

// ErrSidecar says that a sidecar is damaged; the log has all it needs to be made again.
var ErrSidecar = errors.New("queue: damaged sidecar")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type sidecar struct {
	file   vfs.File
	dirs   []directory
	keysAt int64
	keys   int64
	timers *timers // nil: none
}

type directory struct {
	topic                                  string
	queue                                  int32
	first, count, at, firstPos, lastMillis int64
}

// encodeSidecar gives the file and, per run, where its rows are.
func encodeSidecar(seg *segmentIndex) (data []byte, places []int64) {
	le := binary.LittleEndian
	parked := seg.timers.Sorted()
	size := sidecarHeader + keyBytes*seg.keys.n + int(timersSize(int64(len(parked))))
	for _, o := range seg.runs {
		size += rowBytes*len(o.r.rows) + len(o.q.Topic) + 64
	}
	b := make([]byte, sidecarHeader, size)
	var dir []byte
	for _, o := range seg.runs {
		r := o.r
		at := int64(len(b))
		places = append(places, at)
		for _, row := range r.rows {
			b = le.AppendUint64(b, uint64(row.Pos))
			b = le.AppendUint32(b, row.Size)
			b = le.AppendUint32(b, uint32(row.TagHash))
			b = le.AppendUint64(b, uint64(row.Millis))
		}
		dir = le.AppendUint16(dir, uint16(len(o.q.Topic)))
		dir = append(dir, o.q.Topic...)
		dir = le.AppendUint32(dir, uint32(o.q.ID))
		for _, v := range []int64{r.first, r.count, at, r.rows[0].Pos, r.rows[len(r.rows)-1].Millis} {
			dir = le.AppendUint64(dir, uint64(v))
		}
	}
	rowsCRC := crc32.Checksum(b[sidecarHeader:], castagnoli)
	b = appendTimers(b, parked)
	for _, k := range sortKeys(seg.keys.list()) { // a copy: readers still look through the original
		b = le.AppendUint64(le.AppendUint64(b, k.hash), uint64(k.pos))
	}
	b = append(b, dir...)
	le.PutUint64(b, sidecarMagic)
	le.PutUint64(b[8:], seg.seq)
	le.PutUint32(b[16:], uint32(len(seg.runs)))
	le.PutUint32(b[20:], uint32(seg.keys.n))
	le.PutUint32(b[24:], uint32(len(dir)))
	le.PutUint32(b[32:], rowsCRC)
	le.PutUint32(b[36:], uint32(len(parked)))
	le.PutUint32(b[28:], crc32.Update(crc32.Checksum(b[:28], castagnoli), castagnoli, dir))
	return b, places
}

// sortKeys sorts by hash, and leaves entries of one hash in the order of the log, which they come in. Hashes are spread evenly: as many
// buckets by their first bits as there are entries hold one or two each. That takes a fifth of the time of sorting by comparisons.
func sortKeys(keys []keyEntry) []keyEntry {
	shift := 64 - bits.Len(uint(len(keys)))
	ends := make([]int32, 1<<(64-shift)+1)
	for _, k := range keys {
		ends[k.hash>>shift+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	sorted := make([]keyEntry, len(keys))
	for _, k := range keys {
		at := &ends[k.hash>>shift]
		sorted[*at] = k
		*at++
	}
	from := int32(0)
	for _, end := range ends[:len(ends)-1] {
		if end-from > 1 {
			slices.SortStableFunc(sorted[from:end], func(a, b keyEntry) int { return cmp.Compare(a.hash, b.hash) })
		}
		from = end
	}
	return sorted
}

func (x *Index) openSidecar(seq uint64) (*sidecar, error) {
	name := x.sidecarName(seq)
	f, err := x.fs.OpenRead(name)
	if err != nil {
		return nil, err
	}
	s, err := readSidecar(f, seq)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func readSidecar(f vfs.File, seq uint64) (*sidecar, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	h := make([]byte, sidecarHeader)
	if _, err := f.ReadAt(h, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSidecar, err)
	}
	le := binary.LittleEndian
	runs, keys, dirLen := int(le.Uint32(h[16:])), int64(le.Uint32(h[20:])), int64(le.Uint32(h[24:]))
	if le.Uint64(h) != sidecarMagic || le.Uint64(h[8:]) != seq || dirLen > directoryMax || dirLen+keys*keyBytes+sidecarHeader > size {
		return nil, fmt.Errorf("%w: header", ErrSidecar)
	}
	dir := make([]byte, dirLen)
	if _, err := f.ReadAt(dir, size-dirLen); err != nil && dirLen > 0 {
		return nil, fmt.Errorf("%w: %w", ErrSidecar, err)
	}
	if le.Uint32(h[28:]) != crc32.Update(crc32.Checksum(h[:28], castagnoli), castagnoli, dir) {
		return nil, fmt.Errorf("%w: directory checksum", ErrSidecar)
	}
	s := &sidecar{file: f, keys: keys, keysAt: size - dirLen - keys*keyBytes}
	if err := s.decodeDirectory(dir, runs); err != nil {
		return nil, err
	}
	n := int64(le.Uint32(h[36:]))
	if s.rowsEnd()+timersSize(n) != s.keysAt { // the count of timers has no other checksum when it is 0
		return nil, fmt.Errorf("%w: %d timers do not fill the place between rows and keys", ErrSidecar, n)
	}
	s.timers, err = readTimers(f, seq, n, s.keysAt)
	return s, err
}

// rowsEnd is where the rows end, which lie one run after the other.
func (s *sidecar) rowsEnd() int64 {
	end := int64(sidecarHeader)
	for _, d := range s.dirs {
		end += d.count * rowBytes
	}
	return end
}

func (s *sidecar) decodeDirectory(b []byte, runs int) error {
	le := binary.LittleEndian
	for range runs {
		if len(b) < 2 || len(b) < 2+int(le.Uint16(b))+44 {
			return fmt.Errorf("%w: directory is cut", ErrSidecar)
		}
		n := 2 + int(le.Uint16(b))
		d := directory{topic: string(b[2:n]), queue: int32(le.Uint32(b[n:]))}
		for i, v := range []*int64{&d.first, &d.count, &d.at, &d.firstPos, &d.lastMillis} {
			*v = int64(le.Uint64(b[n+4+8*i:]))
		}
		if d.count < 1 || d.at < sidecarHeader || d.at+d.count*rowBytes > s.keysAt {
			return fmt.Errorf("%w: rows of %s/%d lie outside", ErrSidecar, d.topic, d.queue)
		}
		s.dirs = append(s.dirs, d)
		b = b[n+44:]
	}
	return nil
}

// rows appends rows [from, to) of the run that begins at file offset at.
func (s *sidecar) rows(dst []Row, at, from, to int64) ([]Row, error) {
	var fixed [64 * rowBytes]byte
	le := binary.LittleEndian
	for from < to {
		n := min(to-from, 64)
		b := fixed[:n*rowBytes]
		if _, err := s.file.ReadAt(b, at+from*rowBytes); err != nil {
			return dst, fmt.Errorf("queue: read sidecar: %w", err)
		}
		for ; len(b) > 0; b = b[rowBytes:] {
			dst = append(dst, Row{int64(le.Uint64(b)), le.Uint32(b[8:]), int32(le.Uint32(b[12:])), int64(le.Uint64(b[16:]))})
		}
		from += n
	}
	return dst, nil
}

// find gives the positions of a hash: interpolation search, because hashes are spread evenly.
func (s *sidecar) find(h uint64) ([]int64, error) {
	lo, err := s.lowerBound(h)
	if err != nil {
		return nil, err
	}
	var out []int64
	for i := lo; i < s.keys; i++ {
		k, err := s.key(i)
		if err != nil {
			return out, err
		}
		if k.hash != h {
			break
		}
		out = append(out, k.pos)
	}
	return out, nil
}

func (s *sidecar) lowerBound(h uint64) (int64, error) {
	lo, hi := int64(0), s.keys
	for step := 0; lo < hi; step++ {
		mid := lo + (hi-lo)/2
		if step == 0 { // the first guess saves most of the reads
			mid = min(hi-1, int64(float64(h)/float64(1<<63)/2*float64(s.keys)))
		}
		k, err := s.key(mid)
		if err != nil {
			return 0, err
		}
		if k.hash < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func (s *sidecar) key(i int64) (keyEntry, error) {
	var b [keyBytes]byte
	if _, err := s.file.ReadAt(b[:], s.keysAt+i*keyBytes); err != nil {
		return keyEntry{}, fmt.Errorf("queue: read key index: %w", err)
	}
	return keyEntry{binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))}, nil
}
