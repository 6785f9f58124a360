package notes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Reader goes through flushed notes in order.
type Reader struct {
	l       *Log
	seq     uint64 // of the record at buf[at]
	wanted  uint64 // records before it are not given
	base    uint64 // of the open file
	file    vfs.File
	offset  int64 // file offset behind buf
	buf     []byte
	at      int
	strings []string
	note    Note
}

const chunk = 256 << 10

// NewReader starts at sequence number from.
func (l *Log) NewReader(from uint64) *Reader { return &Reader{l: l, wanted: from} }

// Close closes the open file.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// view is what a reader must know of the log: the file that holds seq or, when there is none, the first one behind it.
func (r *Reader) view(seq uint64) (f, after file, hasAfter bool, flushed uint64) {
	l := r.l
	l.state.Lock()
	defer l.state.Unlock()
	i := 0
	for i+1 < len(l.files) && l.files[i+1].base <= seq {
		i++
	}
	f = l.files[i]
	if i+1 < len(l.files) {
		after, hasAfter = l.files[i+1], true
	}
	return f, after, hasAfter, l.flushed
}

// Read gives notes to f until about maxBytes of records were read or the flushed ones end; gap hears of each run that
// cannot be read. next is where a new Reader would go on. An error of f or gap stops it before that note counts.
func (r *Reader) Read(maxBytes int, f func(*Note) error, gap func(Gap) error) (next uint64, err error) {
	for read := 0; read < maxBytes; {
		cur, after, hasAfter, flushed := r.view(r.wanted)
		if r.wanted >= flushed {
			break
		}
		if cur.base > r.wanted {
			if err := gap(Gap{r.wanted, cur.base}); err != nil {
				return r.wanted, err
			}
			r.wanted = cur.base
		}
		if err := r.open(cur.base); err != nil {
			return r.wanted, err
		}
		n, ended, err := r.drain(cur.size, maxBytes-read, f)
		read += n
		if err != nil {
			return r.wanted, err
		}
		if !ended {
			continue
		}
		if !hasAfter {
			break
		}
		if r.seq < after.base { // torn or damaged: the rest of this file is gone
			if err := gap(Gap{max(r.seq, r.wanted), after.base}); err != nil {
				return r.wanted, err
			}
		}
		r.wanted = max(r.wanted, after.base)
	}
	return r.wanted, nil
}

func (r *Reader) open(base uint64) error {
	if r.file != nil && r.base == base {
		return nil
	}
	r.Close()
	f, err := r.l.o.FS.OpenRead(filepath.Join(r.l.o.Dir, name(base)))
	if err != nil {
		return fmt.Errorf("notes: %w", err)
	}
	r.file, r.base, r.seq, r.offset = f, base, base, int64(len(magic))
	r.buf, r.at, r.strings = r.buf[:0], 0, r.strings[:0]
	return nil
}

// drain reads records of the open file, whose valid length is size. ended: there is none left, or what follows is torn.
func (r *Reader) drain(size int64, maxBytes int, f func(*Note) error) (read int, ended bool, err error) {
	for read < maxBytes {
		rec, ok, err := r.next(size)
		if err != nil {
			return read, false, err
		}
		if !ok {
			return read, true, nil
		}
		give, err := r.decode(rec)
		if err != nil {
			return read, true, nil // damage that its checksum does not show: as torn
		}
		if give && r.seq >= r.wanted {
			r.note.Seq = r.seq
			if err := f(&r.note); err != nil {
				r.Close() // the next Read starts over at wanted
				return read, false, err
			}
		}
		r.at += frameSize + len(rec)
		read += frameSize + len(rec)
		r.seq++
		r.wanted = max(r.wanted, r.seq)
	}
	return read, false, nil
}

// next is the kind and body of the record at r.at, without taking it.
func (r *Reader) next(size int64) (rec []byte, ok bool, err error) {
	if ok, err := r.have(frameSize, size); !ok {
		return nil, false, err
	}
	n := int(binary.LittleEndian.Uint32(r.buf[r.at:]))
	if n == 0 || n > maxRecord {
		return nil, false, nil
	}
	if ok, err := r.have(frameSize+n, size); !ok {
		return nil, false, err
	}
	rec = r.buf[r.at+frameSize : r.at+frameSize+n]
	if crc32.Checksum(rec, castagnoli) != binary.LittleEndian.Uint32(r.buf[r.at+4:]) {
		return nil, false, nil
	}
	return rec, true, nil
}

// have makes n bytes at r.at available; not ok when the file ends before.
func (r *Reader) have(n int, size int64) (bool, error) {
	if len(r.buf)-r.at >= n {
		return true, nil
	}
	more := min(int64(max(chunk, n)), size-r.offset)
	if int64(len(r.buf)-r.at)+more < int64(n) {
		return false, nil
	}
	kept := copy(r.buf, r.buf[r.at:])
	r.at = 0
	if need := kept + int(more); cap(r.buf) < need {
		r.buf = append(make([]byte, 0, need), r.buf[:kept]...)
	}
	r.buf = r.buf[:kept+int(more)]
	got, err := r.file.ReadAt(r.buf[kept:], r.offset)
	r.buf = r.buf[:kept+got]
	r.offset += int64(got)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("notes: %w", err)
	}
	return len(r.buf) >= n, nil
}

// decode fills r.note; false for records that are no notes.
func (r *Reader) decode(rec []byte) (bool, error) {
	d := decoder{b: rec[1:]}
	n := &r.note
	n.Kind = Kind(rec[0])
	switch n.Kind {
	case KindString:
		if id := d.unsigned("string number"); d.err == nil && id != uint64(len(r.strings)) {
			return false, fmt.Errorf("%w: string %d defined as number %d", ErrFormat, len(r.strings), id)
		}
		r.strings = append(r.strings, string(d.b))
		return false, d.err
	case KindDelivery:
		d.delivery(&n.Delivery, r.strings)
	case KindEntryTimes:
		d.times(&n.Times)
	case KindHappening:
		d.happening(&n.Happening)
	default:
		return false, nil // a newer version's kind
	}
	return true, d.err
}
