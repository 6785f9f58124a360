package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/vfs"
)

// marked is a member of three that has its own mark and gets the two others'.
func marked(t *testing.T, own, theirs []partHash) error {
	t.Helper()
	s := stepped(t, vfs.NewMem(), 1, 2, 3)
	for id, hashes := range map[uint64][]partHash{1: own, 2: theirs, 3: theirs} {
		s.onMark(aside{from: id, kind: AsideMark, body: encodeMark(7, hashes)})
	}
	return s.Failed()
}

func hashesOf(c *checkpoint, without ...part) (out []partHash) {
	for _, h := range c.hashes() {
		if len(without) == 0 || h.part != without[0] {
			out = append(out, h)
		}
	}
	return out
}

// A member of a newer version, whose checkpoints hold something more, was stopped by the two that did not know it: their hashes were taken over
// all of a checkpoint. A real difference stops it all the same.
func TestMembersOfDifferentVersionsCompareWhatBothKnow(t *testing.T) {
	c := &checkpoint{Applied: 7, Voters: []uint64{1, 2, 3}, Topics: []catalog.Entry{{Topic: catalog.NewTopic("orders", 4)}}}
	more := append(hashesOf(c), partHash{part: 60_000, hash: make([]byte, hashBytes)})
	if err := marked(t, more, hashesOf(c)); err != nil {
		t.Errorf("who knows more: %v", err)
	}
	if err := marked(t, hashesOf(c, partQueues), more); err != nil {
		t.Errorf("who knows less: %v", err)
	}
	other := *c
	other.Topics = nil
	if err := marked(t, more, hashesOf(&other)); !errors.Is(err, ErrDiverged) {
		t.Errorf("other topics: %v", err)
	}
}

// What older versions sent is no mark of parts.
func TestAHashOfEverythingIsNotCompared(t *testing.T) {
	if _, ok := decodeMark(make([]byte, 8+32)); ok {
		t.Error("a hash of everything was taken")
	}
}

// Numbers of fields when the parts were written down. Who adds a field to one of these decides what DESIGN.md asks for (a new number for its
// part), and changes the number here.
func TestFieldsOfTheStateAreInAPart(t *testing.T) {
	for typ, n := range map[reflect.Type]int{
		reflect.TypeFor[checkpoint](): 17, reflect.TypeFor[joint](): 4, reflect.TypeFor[catalog.Topic](): 8, reflect.TypeFor[catalog.Entry](): 2,
		reflect.TypeFor[catalog.Group](): 15, reflect.TypeFor[catalog.RetryPolicy](): 3, reflect.TypeFor[catalog.ExponentialRetryPolicy](): 3,
		reflect.TypeFor[catalog.CustomizedRetryPolicy](): 1, reflect.TypeFor[catalog.GroupSubscribed](): 4, reflect.TypeFor[offset.Key](): 3,
		reflect.TypeFor[offset.Commit](): 3, reflect.TypeFor[offset.Saved](): 2, reflect.TypeFor[queueEnd](): 4,
		reflect.TypeFor[group.Lock](): 4, reflect.TypeFor[group.QueueRef](): 3,
	} {
		if got := typ.NumField(); got != n {
			t.Errorf("%v has %d fields, the parts of the state were written for %d", typ, got, n)
		}
	}
}

// Each value of the state changes a hash, so that no difference passes.
func TestEachFieldChangesAHash(t *testing.T) {
	full := func() *checkpoint {
		c := &checkpoint{}
		fillValue(reflect.ValueOf(c).Elem(), new(int64))
		return c
	}
	same := encodeMark(0, full().hashes())
	paths := 0
	walk(reflect.ValueOf(full()).Elem(), "", func(path string) {
		paths++
		c := full()
		changeAt(reflect.ValueOf(c).Elem(), "", path)
		if path == ".Version" || path == ".Sealed" { // this member's alone
			return
		}
		if string(encodeMark(0, c.hashes())) == string(same) {
			t.Errorf("%s is in no hash", path)
		}
	})
	if paths < 40 {
		t.Errorf("only %d values looked at", paths)
	}
}

// fillValue gives each value another content.
func fillValue(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillValue(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(v.Index(0), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"k": "v"}))
	default:
		setValue(v, *n)
	}
}

func setValue(v reflect.Value, n int64) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(rune('a' + n)))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(n)
	}
}

// walk calls f with the path of each plain value.
func walk(v reflect.Value, path string, f func(string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case reflect.Pointer:
		walk(v.Elem(), path, f)
	case reflect.Slice:
		walk(v.Index(0), path, f)
	default:
		f(path)
	}
}

func changeAt(v reflect.Value, path, want string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			changeAt(v.Field(i), path+"."+v.Type().Field(i).Name, want)
		}
	case reflect.Pointer:
		changeAt(v.Elem(), path, want)
	case reflect.Slice:
		changeAt(v.Index(0), path, want)
	case reflect.Map:
		if path == want {
			v.Set(reflect.ValueOf(map[string]string{"k": "w"}))
		}
	default:
		if path == want {
			setValue(v, 1_000_000)
		}
	}
}

// A checkpoint of a newer version was taken without what this one does not know: a snapshot of it would have made another state.
func TestACheckpointWithUnknownStateIsRefused(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	b, err := s.checkpoint(1).encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeCheckpoint(b); err != nil {
		t.Fatal(err)
	}
	state := map[string]any{}
	if err := json.Unmarshal(b[4:], &state); err != nil {
		t.Fatal(err)
	}
	state["of a newer version"] = []int{1}
	if _, err := decodeCheckpoint(sealed(t, state)); !errors.Is(err, errUnknownState) {
		t.Fatalf("%v", err)
	}
}

// sealed is a checkpoint file of some JSON.
func sealed(t *testing.T, state any) []byte {
	t.Helper()
	body, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli)), body...)
}
