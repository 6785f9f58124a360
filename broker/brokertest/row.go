package brokertest

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Row is one row of the fault matrix.
type Row struct {
	Number   int
	Fault    string
	Workload string
	Short    bool // it is part of `go test`
	Lan      bool // needs network namespaces
	Options  ClusterOptions
	Body     int           // bytes of W1's messages; 0: 200
	Pause    time.Duration // between two of a worker's messages; 0: 2 ms
	Allowed  []string      // log lines of level ERROR that this fault excuses contain one of these
	// Run injects faults until until; what it leaves broken, Heal mends. It may add remarks.
	Run  func(r *Round)
	Heal func(r *Round)
	Skip string // why it cannot be run here
}

// Round is one run of a row.
type Round struct {
	*Cluster
	Row    *Row
	T      testing.TB
	Until  time.Time
	P      *Producers // W1
	O      *Producers // ordered: one queue per worker
	Reg    *Register
	Topic  string
	Notes  []string
	Bad    []string
	Began  time.Time
	Healed time.Time
	Away   map[int]string // nodes that the cluster goes on without, and why
	data   map[string]any
	said   sync.Mutex // Notes, Bad
}

// routeFor is how long W1 goes on with a route: so short that what a group's gap tells is the group's.
const routeFor = 100 * time.Millisecond

// problemsMax is how many problems of a round are kept.
const problemsMax = 30

// Note adds a remark to the result.
func (r *Round) Note(format string, args ...any) {
	r.said.Lock()
	defer r.said.Unlock()
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Fail makes the verdict bad.
func (r *Round) Fail(format string, args ...any) {
	r.said.Lock()
	defer r.said.Unlock()
	if len(r.Bad) < problemsMax {
		r.Bad = append(r.Bad, fmt.Sprintf(format, args...))
	}
}

// More says whether there is time for another fault; it waits d first.
func (r *Round) More(d time.Duration) bool {
	time.Sleep(min(d, max(0, time.Until(r.Until))))
	return time.Now().Before(r.Until)
}

// Outcome is a line of the table.
type Outcome struct {
	Row              *Row
	V                *Verdict
	GapAny, GapGroup time.Duration
	Serving          time.Duration
	Health           string
	Notes, Bad       []string
}

// Result in one word.
func (o *Outcome) Result() string {
	switch {
	case o.Row.Skip != "":
		return "not run"
	case len(o.Bad) > 0:
		return "FAILED"
	}
	return "passed"
}

// Header of the table that Line fills.
const Header = "| row | fault | workload | sent | acked | unknown | lost | copies explained | unexplained | longest gap: any group | one group | serving again after | verdict | remarks |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"

// Line of the table.
func (o *Outcome) Line() string {
	r := o.Row
	if o.V == nil {
		return fmt.Sprintf("| %d | %s | %s | | | | | | | | | | %s | %s |", r.Number, r.Fault, r.Workload, o.Result(), cell(append([]string{r.Skip}, append(o.Bad, o.Notes...)...)))
	}
	v := o.V
	return fmt.Sprintf("| %d | %s | %s | %d | %d | %d | %d | %d | %d | %v | %v | %v | %s | %s |", r.Number, r.Fault, r.Workload, v.Sent, v.Acked, v.Unknown, v.Lost,
		v.Explained, v.Unexplained, ms(o.GapAny), ms(o.GapGroup), ms(o.Serving), o.Result(), cell(append(append(o.Bad, o.Notes...), o.Health)))
}

func cell(words []string) string {
	s := strings.Join(words, "; ")
	return strings.TrimPrefix(strings.NewReplacer("|", "/", "\n", " ").Replace(s[:min(len(s), 900)]), "; ")
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// RunRow runs a row for a while on a cluster of its own.
func RunRow(t testing.TB, row *Row, lasts time.Duration) *Outcome {
	t.Helper()
	if row.Skip == "" && len(row.Options.DiskMiB) > 0 && os.Getuid() != 0 {
		row.Skip = "needs root, to mount small file systems"
	}
	if row.Skip != "" {
		return &Outcome{Row: row}
	}
	c := StartCluster(t, row.Options)
	if row.Lan && c.Lan == nil {
		row.Skip = "needs network namespaces (root, ip, nft, tc)"
	}
	if row.Skip != "" {
		return &Outcome{Row: row}
	}
	r := &Round{Cluster: c, Row: row, T: t, Topic: "chaos", data: map[string]any{}, Away: map[int]string{}}
	if err := r.startLoad(); err != nil {
		return &Outcome{Row: row, Bad: []string{err.Error()}}
	}
	time.Sleep(2 * time.Second) // of health before the fault
	r.Began = time.Now()
	r.Until = r.Began.Add(lasts)
	row.Run(r)
	r.heal()
	return r.judge()
}

func (r *Round) startLoad() error {
	r.P = &Producers{Topic: r.Topic, Workers: 12, Tries: 3, Pause: cmp.Or(r.Row.Pause, 2*time.Millisecond), Body: cmp.Or(r.Row.Body, 200), Servers: r.NameServers(), RouteFor: routeFor}
	r.O = &Producers{Topic: "ordered", Workers: 3, OneQueue: true, Tries: 3, Pause: 5 * time.Millisecond, Body: 100, Servers: r.NameServers(), RouteFor: time.Second}
	r.Reg = &Register{C: r.Cluster, Group: Groups[0], Topic: r.Topic, End: r.ackedEnd}
	if err := r.P.Start(); err != nil {
		return err
	}
	r.O.number.Store(1 << 40)
	if err := r.O.Start(); err != nil {
		return err
	}
	r.Reg.Start()
	return nil
}

// ackedEnd is an offset of the register's queue that is stored for sure.
func (r *Round) ackedEnd() int64 {
	r.P.mu.Lock()
	defer r.P.mu.Unlock()
	for i := len(r.P.hist) - 1; i >= max(0, len(r.P.hist)-500); i-- {
		if s := &r.P.hist[i]; s.Acked && s.At.Group == r.Reg.Group && s.At.Queue == 0 {
			return s.At.Offset
		}
	}
	return 0
}

// heal takes every fault away and starts what is down.
func (r *Round) heal() {
	if r.Row.Heal != nil {
		r.Row.Heal(r)
	}
	if r.Lan != nil {
		r.Lan.Heal()
	}
	for _, p := range r.Proxies {
		p.Delay(0, 0)
		p.Break(0)
		p.Mute(false)
	}
	for _, n := range r.Nodes {
		n.Signal(18) // SIGCONT
		if !n.Running() {
			n.Start()
		}
	}
	r.Healed = time.Now()
}

func (r *Round) judge() *Outcome {
	o := &Outcome{Row: r.Row}
	var ok bool
	if o.Serving, ok = r.P.Recovered(r.Healed, 60*time.Second); !ok {
		r.Fail("not every group serves 60 s after the fault is over")
	}
	o.GapAny = r.P.Gap("", r.Began, r.Healed)
	for _, g := range Groups {
		o.GapGroup = max(o.GapGroup, r.P.Gap(g, r.Began, time.Now()))
	}
	time.Sleep(time.Second)
	r.P.Stop()
	r.O.Stop()
	r.Reg.Stop()
	if finish, ok := r.data["finish"].(func()); ok {
		finish()
	}
	o.Health = r.health()
	r.stored(o)
	r.Reg.Final(r.Away)
	for id, why := range r.Away {
		r.Note("node %d is out: %s", id, why)
	}
	r.Bad = append(r.Bad, r.Reg.Problems...)
	if r.Reg.late > 0 {
		r.Note("%d offset reads showed a commit whose outcome was unknown and which came late", r.Reg.late)
	}
	for _, n := range r.Nodes {
		r.Bad = append(r.Bad, n.Complaints(0, r.Row.Allowed...)...)
	}
	o.Notes, o.Bad = r.Notes, append(r.Bad, o.V.Problems...)
	return o
}

// stored reads all queues through all members, and their logs from disk.
func (r *Round) stored(o *Outcome) {
	o.V = &Verdict{}
	ordered := r.drained(r.O, nil)
	found := r.drained(r.P, o)
	if ordered != nil {
		v := Judge(r.O.History(), ordered)
		r.Bad = append(r.Bad, v.Problems...)
		r.Note("ordered: %d acked, %d copies explained", v.Acked, v.Explained)
	}
	if found != nil {
		o.V = Judge(r.P.History(), found)
		if o.V.Expired > 0 && !strings.Contains(r.Row.Options.Extra, "keepBytes") {
			r.Fail("LOST the first %d acked messages of their queues", o.V.Expired)
		}
	}
	var err error
	for range 10 { // the members that were away fetch what they lack
		if err = r.SameLogs(r.Away); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	r.Fail("logs: %v", err)
}

// drained reads everything through every member. One that cannot reach its leader yet, after packets were lost for long, gives what
// it has itself, which may be less: all are read again until they give the same.
func (r *Round) drained(p *Producers, _ *Outcome) Found {
	var first Found
	var err error
	for range 10 {
		if first, err = r.drainMembers(p.Topic); err == nil {
			return first
		}
		time.Sleep(time.Second)
	}
	r.Fail("drain: %v", err)
	return first
}

func (r *Round) drainMembers(topic string) (first Found, err error) {
	for _, n := range r.Nodes {
		if !n.Running() || r.Away[n.ID] != "" {
			continue
		}
		found, err := drainPatiently(n, topic)
		if err != nil {
			return first, err
		}
		if first == nil {
			first = found
		} else if err := Same(first, found); err != nil {
			return first, fmt.Errorf("through node %d: %w", n.ID, err)
		}
	}
	return first, nil
}

// drainPatiently allows for a node that has just come back.
func drainPatiently(n *Node, topic string) (found Found, err error) {
	for range 8 {
		if found, err = DrainAll(n, topic); err == nil {
			return found, nil
		}
		time.Sleep(time.Second)
	}
	return found, err
}

func (r *Round) health() string {
	var s []string
	for _, n := range r.Nodes {
		s = append(s, n.Health().String())
	}
	return "nodes: " + strings.Join(s, ", ")
}
