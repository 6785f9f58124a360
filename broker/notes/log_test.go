package notes

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
	"pgregory.net/rapid"
)

func open(t testing.TB, fs vfs.FS, change func(*Options)) *Log {
	t.Helper()
	o := Options{FS: fs, Dir: "notes"}
	if change != nil {
		change(&o)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func delivery(i int) Delivery {
	return Delivery{Topic: "orders", Group: "billing", Client: fmt.Sprint("client-", i%3), Addr: "127.0.0.1:4000",
		Language: "JAVA", Version: "V5_5_0", Protocol: "remoting", Subscription: "*", QueueID: int32(i % 4),
		From: int64(i), To: int64(i + 3), RequestedMicros: 1000 + int64(i), SentMicros: 1500 + int64(i), WaitedMicros: 7,
		Messages: 2, Filtered: 1, Skipped: []int64{int64(i + 1)}, Bytes: 999, Attempt: 1}
}

// readAll gives the From of all deliveries from a sequence number on, and the gaps.
func readAll(t testing.TB, l *Log, from uint64) (froms []int64, gaps []Gap, next uint64) {
	t.Helper()
	r := l.NewReader(from)
	defer r.Close()
	next, err := r.Read(1<<40, func(n *Note) error {
		if n.Kind == KindDelivery {
			froms = append(froms, n.Delivery.From)
		}
		return nil
	}, func(g Gap) error { gaps = append(gaps, g); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return froms, gaps, next
}

func TestNotesComeBackAsTheyWereNoted(t *testing.T) {
	l := open(t, vfs.NewMem(), nil)
	d := delivery(5)
	times := EntryTimes{Index: 9, AppendedMicros: 100, SyncedMicros: 150, CommittedMicros: 100, AckedMicros: 0, Slowest: 3}
	h := Happening{AtMicros: 4, Kind: "connect", Client: "c", Addr: "a", Text: "t", Count: 2, Detail: map[string]string{"k": "v"}}
	l.NoteDelivery(&d)
	l.NoteEntryTimes(times)
	l.NoteHappening(&h)
	l.Flush()
	r := l.NewReader(1)
	defer r.Close()
	var got []Kind
	_, err := r.Read(1<<20, func(n *Note) error {
		got = append(got, n.Kind)
		switch n.Kind {
		case KindDelivery:
			if !reflect.DeepEqual(n.Delivery, d) {
				t.Errorf("delivery %+v, want %+v", n.Delivery, d)
			}
		case KindEntryTimes:
			if n.Times != times {
				t.Errorf("times %+v, want %+v", n.Times, times)
			}
		case KindHappening:
			if !reflect.DeepEqual(n.Happening, h) {
				t.Errorf("happening %+v, want %+v", n.Happening, h)
			}
		}
		return nil
	}, func(g Gap) error { return fmt.Errorf("gap %v", g) })
	if err != nil || !reflect.DeepEqual(got, []Kind{KindDelivery, KindEntryTimes, KindHappening}) {
		t.Fatalf("kinds %v, %v", got, err)
	}
}

func TestUnflushedNotesAreNotRead(t *testing.T) {
	l := open(t, vfs.NewMem(), nil)
	d := delivery(1)
	l.NoteDelivery(&d)
	if froms, _, _ := readAll(t, l, 1); len(froms) != 0 {
		t.Fatalf("read %v before Flush", froms)
	}
	l.Flush()
	if froms, _, _ := readAll(t, l, 1); len(froms) != 1 {
		t.Fatalf("read %v after Flush", froms)
	}
}

func TestANoteOfKnownStringsDoesNotAllocate(t *testing.T) {
	l := open(t, vfs.NewMem(), nil)
	d := delivery(1)
	for range 100 {
		l.NoteDelivery(&d)
	}
	l.Flush()
	l.pending = make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(1000, func() { l.NoteDelivery(&d) }); n != 0 {
		t.Fatalf("%v allocations per delivery", n)
	}
}

func TestReadingGoesOnWhereItStoppedOverRotationsAndRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		small := func(o *Options) { o.FS, o.Dir, o.FileBytes = fs, "notes", 700 }
		o := Options{}
		small(&o)
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		noted, flushed, next := 0, 0, uint64(1)
		var got []int64
		read := func(bytes int) {
			r := l.NewReader(next)
			defer r.Close()
			var err error
			next, err = r.Read(bytes, func(n *Note) error {
				if n.Kind == KindDelivery {
					got = append(got, n.Delivery.From)
				}
				return nil
			}, func(g Gap) error { return fmt.Errorf("gap %v", g) })
			if err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				l.Flush()
				flushed = noted
			case 1:
				read(rapid.IntRange(1, 500).Draw(t, "bytes"))
			case 2: // kill: pending notes are lost, they were promised to nobody
				if l, err = Open(o); err != nil {
					t.Fatal(err)
				}
				noted = flushed
			default:
				d := delivery(noted)
				l.NoteDelivery(&d)
				noted++
			}
		}
		l.Flush()
		read(1 << 30)
		if len(got) != noted {
			t.Fatalf("read %d of %d", len(got), noted)
		}
		for i, from := range got {
			if from != int64(i) {
				t.Fatalf("note %d is %d", i, from)
			}
		}
	})
}

func TestATornTailEndsTheFileAndNothingElse(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, nil)
	for i := range 10 {
		d := delivery(i)
		l.NoteDelivery(&d)
	}
	l.Flush()
	f, _ := fs.Open("notes/" + name(1))
	size, _ := f.Size()
	if err := f.Truncate(size - 3); err != nil {
		t.Fatal(err)
	}
	l = open(t, fs, nil)
	d := delivery(100)
	l.NoteDelivery(&d)
	l.Flush()
	froms, gaps, _ := readAll(t, l, 1)
	if len(froms) != 10 || froms[8] != 8 || froms[9] != 100 || len(gaps) != 0 {
		t.Fatalf("froms %v gaps %v", froms, gaps)
	}
}

func TestDamageInAnOldFileIsAGap(t *testing.T) {
	fs := vfs.NewMem()
	l := open(t, fs, func(o *Options) { o.FileBytes = 600 })
	for i := range 40 {
		d := delivery(i)
		l.NoteDelivery(&d)
		l.Flush()
	}
	if err := fs.Flip("notes/"+name(1), 250, 3); err != nil {
		t.Fatal(err)
	}
	froms, gaps, next := readAll(t, l, 1)
	if len(gaps) != 1 || gaps[0].To != l.files[1].base || froms[len(froms)-1] != 39 || next != l.Flushed() {
		t.Fatalf("froms %v gaps %v next %d", froms, gaps, next)
	}
}

func TestTheSizeCapDropsTheOldestAndCountsThem(t *testing.T) {
	l := open(t, vfs.NewMem(), func(o *Options) { o.FileBytes, o.TotalBytes = 1000, 3000 })
	for i := range 400 {
		d := delivery(i)
		l.NoteDelivery(&d)
		l.Flush()
	}
	s := l.Stats()
	froms, gaps, _ := readAll(t, l, 1)
	if s.Bytes > 4100 || s.Lost == 0 || len(gaps) != 1 || gaps[0] != (Gap{1, s.First}) || s.Lost != s.First-1 {
		t.Fatalf("stats %+v gaps %v", s, gaps)
	}
	if froms[len(froms)-1] != 399 {
		t.Fatalf("last is %d", froms[len(froms)-1])
	}
}

// fullDisk fails writes while full is set.
type fullDisk struct {
	vfs.FS
	full bool
}

type fullFile struct {
	vfs.File
	d *fullDisk
}

var errFull = errors.New("disk full")

func (d *fullDisk) Create(name string) (vfs.File, error) {
	if d.full {
		return nil, errFull
	}
	f, err := d.FS.Create(name)
	return fullFile{f, d}, err
}

func (f fullFile) WriteAt(p []byte, at int64) (int, error) {
	if f.d.full {
		return 0, errFull
	}
	return f.File.WriteAt(p, at)
}

func TestAFullDiskIsAGapAndNotesGoOnAfterIt(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem()}
	l := open(t, disk, nil)
	for i := range 30 {
		disk.full = i >= 10 && i < 20
		d := delivery(i)
		l.NoteDelivery(&d)
		l.Flush()
	}
	froms, gaps, _ := readAll(t, l, 1)
	if len(gaps) != 1 || l.Stats().Lost != gaps[0].To-gaps[0].From || !errors.Is(l.Stats().Err, errFull) {
		t.Fatalf("gaps %v stats %+v", gaps, l.Stats())
	}
	if froms[0] != 0 || froms[len(froms)-1] != 29 || len(froms) < 19 {
		t.Fatalf("froms %v", froms)
	}
}

func TestDropBeforeKeepsTheFileThatHoldsSeq(t *testing.T) {
	l := open(t, vfs.NewMem(), func(o *Options) { o.FileBytes = 600 })
	for i := range 60 {
		d := delivery(i)
		l.NoteDelivery(&d)
		l.Flush()
	}
	seq := l.files[3].base + 1
	l.DropBefore(seq)
	if l.First() > seq || l.First() != l.files[0].base || l.files[1].base <= seq {
		t.Fatalf("first %d after DropBefore(%d)", l.First(), seq)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0})
	f.Add([]byte{3, 1, 1, 1})
	f.Fuzz(func(t *testing.T, rec []byte) {
		if len(rec) == 0 {
			return
		}
		r := Reader{strings: []string{"a"}}
		r.decode(rec)
	})
}
