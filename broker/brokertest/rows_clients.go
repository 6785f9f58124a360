package brokertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// clientRows are clients that behave badly, many clients, limits of a process, name servers, topics.
func clientRows() []*Row {
	w := "W1 W2 W7"
	return []*Row{
		{Number: 43, Fault: "consumers are killed in mid-batch; many join and leave", Workload: "W1 W2 W3 W7", Run: consumersComeAndGo},
		{Number: 46, Fault: "offset commits race with changes of leader (pauses, kills)", Workload: w, Run: offsetsRace},
		{Number: 47, Fault: "2 000 clients reconnect at once after a failover", Workload: w, Run: reconnectAtOnce},
		{Number: 48, Fault: "consumers that never read their socket; producers that send a byte a second", Workload: w, Run: badSockets},
		{Number: 49, Fault: "a leader has no file handles left", Workload: w, Allowed: []string{"too many open files"}, Run: noHandles},
		{Number: 50, Fault: "256 MiB of memory for a leader; then it is killed as the kernel would", Workload: w, Run: littleMemory},
		{Number: 51, Fault: "10 % of a CPU for a leader, then for all", Workload: w, Run: littleCPU},
		{Number: 53, Fault: "no name server can be reached, while a leader is killed", Workload: w, Short: true, Lan: true, Run: noNameServers},
		{Number: 55, Fault: "a topic is deleted and made again under load, while a leader is killed", Workload: "W1 W2 W7 W8", Run: topicAgain},
	}
}

// offsetsRace pauses and kills leaders of one group again and again, while its offsets are committed and read.
func offsetsRace(r *Round) {
	for i := 0; ; i++ {
		l := r.Leader(Groups[0])
		if l == nil {
			r.Fail("nobody leads %s", Groups[0])
			return
		}
		if i%3 == 2 {
			l.Kill()
			time.Sleep(3 * time.Second)
			r.again(l)
		} else {
			l.Signal(syscall.SIGSTOP)
			time.Sleep(4 * time.Second)
			l.Signal(syscall.SIGCONT)
		}
		if !r.More(3 * time.Second) {
			break
		}
	}
	r.Note("%d commits, %d reads", r.Reg.Commits, r.Reg.Reads)
}

// heartbeat is a consumer's, as Java sends it.
func heartbeat(client, group, topic string) []byte {
	type sub struct {
		Topic string `json:"topic"`
		Sub   string `json:"subString"`
		V     int64  `json:"subVersion"`
	}
	type consumer struct {
		Group string `json:"groupName"`
		Type  string `json:"consumeType"`
		Model string `json:"messageModel"`
		From  string `json:"consumeFromWhere"`
		Subs  []sub  `json:"subscriptionDataSet"`
	}
	b, _ := json.Marshal(map[string]any{"clientID": client, "producerDataSet": []any{}, "consumerDataSet": []consumer{
		{group, "CONSUME_PASSIVELY", "CLUSTERING", "CONSUME_FROM_FIRST_OFFSET", []sub{{topic, "*", 1}}}}})
	return b
}

// crowd keeps connections to a group's members: who loses its connection dials another member at once.
type crowd struct {
	r        *Round
	stop     chan struct{}
	done     sync.WaitGroup
	alive    atomic.Int64
	redialed atomic.Int64
	slowest  atomic.Int64
}

func (c *crowd) member(i int) {
	defer c.done.Done()
	for turn := i; ; turn++ {
		select {
		case <-c.stop:
			return
		default:
		}
		c.connected(fmt.Sprintf("crowd-%d", i), c.r.Nodes[turn%3].Brokers[Groups[0]])
	}
}

func (c *crowd) connected(id, addr string) {
	k := rpc.Client{Addr: addr, Timeout: 10 * time.Second}
	defer k.Close()
	began := time.Now()
	if _, err := k.Do(wire.Heartbeat, nil, heartbeat(id, "crowd", c.r.Topic)); err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	_, _ = k.Do(wire.ConsumerList, []rpc.Field{{Name: "consumerGroup", Value: "crowd"}}, nil)
	c.redialed.Add(1)
	if d := int64(time.Since(began)); d > c.slowest.Load() {
		c.slowest.Store(d)
	}
	c.alive.Add(1)
	defer c.alive.Add(-1)
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(2 * time.Second):
		}
		if _, err := k.Do(wire.Heartbeat, nil, heartbeat(id, "crowd", c.r.Topic)); err != nil {
			return
		}
	}
}

func reconnectAtOnce(r *Round) {
	const many = 2000
	c := &crowd{r: r, stop: make(chan struct{})}
	for i := range many {
		c.done.Add(1)
		go c.member(i)
	}
	for end := time.Now().Add(30 * time.Second); c.alive.Load() < many && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	r.Note("%d clients connected", c.alive.Load())
	l := r.Leader(Groups[0])
	c.slowest.Store(0)
	at, before := time.Now(), c.redialed.Load()
	l.Kill()
	time.Sleep(time.Second)
	for end := time.Now().Add(30 * time.Second); c.alive.Load() < many && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	r.Note("%d of %d connected again %v after the kill, %d dialled, the slowest took %v", c.alive.Load(), many, time.Since(at).Round(time.Millisecond), c.redialed.Load()-before, time.Duration(c.slowest.Load()).Round(time.Millisecond))
	r.serving(Groups[0], at)
	r.again(l)
	for r.More(time.Second) {
	}
	close(c.stop)
	c.done.Wait()
}

// badSockets asks for much and reads nothing, and sends slowly.
func badSockets(r *Round) {
	l := r.Leader(Groups[0])
	var conns []net.Conn
	stop := make(chan struct{})
	for i := range 40 {
		c, err := net.Dial("tcp", l.Brokers[Groups[0]])
		if err != nil {
			r.Fail("%v", err)
			break
		}
		conns = append(conns, c)
		if i%2 == 0 {
			go askWithoutReading(c, r.Topic)
		} else {
			go dribble(c, stop)
		}
	}
	most := 0
	for r.More(time.Second) {
		most = max(most, l.Health().RSSMiB)
	}
	close(stop)
	open := 0
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := io.Copy(io.Discard, c); err != nil && err.(net.Error).Timeout() {
			open++
		}
		c.Close()
	}
	if most > 1024 {
		r.Fail("the leader took %d MiB for clients that do not read", most)
	}
	r.Note("most memory of the leader %d MiB; %d of %d bad connections were still open", most, open, len(conns))
}

func askWithoutReading(c net.Conn, topic string) {
	for opaque := int32(1); ; opaque++ {
		w := wire.Request(nil, wire.JSON, opaque, wire.PullMessage)
		for k, v := range map[string]string{"consumerGroup": "deaf", "topic": topic, "queueId": strconv.Itoa(int(opaque) % Queues), "queueOffset": "0", "maxMsgNums": "160", "sysFlag": "4",
			"commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0"} {
			w.String(k, v)
		}
		_ = c.SetWriteDeadline(time.Now().Add(60 * time.Second))
		if _, err := c.Write(w.End(0)); err != nil {
			return
		}
	}
}

func dribble(c net.Conn, stop chan struct{}) {
	for _, b := range []byte{0, 0, 1, 0, 0, 0, 0, 200, '{', '"', 'c', 'o', 'd', 'e', '"', ':', '1', '0', ',', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '} {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
	}
}

func noHandles(r *Round) {
	l := r.Leader(Groups[0])
	var old unix.Rlimit
	if err := unix.Prlimit(l.Pid(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		r.Fail("%v", err)
		return
	}
	few := unix.Rlimit{Cur: uint64(l.Health().Files) + 3, Max: old.Max}
	if err := unix.Prlimit(l.Pid(), unix.RLIMIT_NOFILE, &few, nil); err != nil {
		r.Fail("%v", err)
		return
	}
	at := time.Now()
	for r.More(200 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", l.Brokers[Groups[0]], time.Second); err == nil {
			defer c.Close()
		}
	}
	if r.P.AckedSince(Groups[0], at) == 0 {
		r.Fail("the group of a leader without file handles takes nothing on connections that are there")
	}
	r.Note("%d acked by %s meanwhile; leader %v", r.P.AckedSince(Groups[0], at), Groups[0], l.Health())
	_ = unix.Prlimit(l.Pid(), unix.RLIMIT_NOFILE, &old, nil)
}

func littleMemory(r *Round) {
	l := r.Leader(Groups[0])
	if !r.cgroup(l, "memory", map[string]string{"memory.limit_in_bytes": strconv.Itoa(256 << 20)}) {
		r.Note("memory could not be limited")
	}
	pid := l.Pid()
	for r.More(time.Second) {
	}
	r.Note("node %d still runs: %v, %v", l.ID, l.Running() && l.Pid() == pid, l.Health())
	at := time.Now()
	l.Kill()
	r.serving(Groups[0], at)
	r.again(l)
}

func littleCPU(r *Round) {
	half := time.Until(r.Until) / 2
	quota := map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "10000"}
	r.spread(20 * time.Second)
	l := r.Leader(Groups[0])
	before, acked, at := r.elections(), r.P.AckedSince("", r.Began), time.Now()
	if !r.cgroup(l, "cpu", quota) {
		return
	}
	time.Sleep(half)
	r.Note("leader: %d acked/s, %d changes of leader", int(float64(r.P.AckedSince("", r.Began)-acked)/time.Since(at).Seconds()), r.elections()-before)
	before, acked, at = r.elections(), r.P.AckedSince("", r.Began), time.Now()
	for _, n := range r.Nodes {
		r.cgroup(n, "cpu", quota)
	}
	time.Sleep(half)
	r.Note("all: %d acked/s, %d changes of leader", int(float64(r.P.AckedSince("", r.Began)-acked)/time.Since(at).Seconds()), r.elections()-before)
	for _, n := range r.Nodes {
		r.freeCgroup(n, "cpu")
	}
}

func noNameServers(r *Round) {
	r.spread(20 * time.Second)
	for _, n := range r.Nodes {
		r.Lan.in(n.ID, "nft", "add rule ip chaos input tcp dport 9876 drop")
	}
	at := time.Now()
	time.Sleep(4 * time.Second)
	if n := r.P.AckedSince("", at); n == 0 {
		r.Fail("nothing is acknowledged without name servers")
	}
	l := r.Leader(Groups[0])
	at = time.Now()
	l.Kill()
	r.again(l)
	for r.More(time.Second) {
	}
	r.Note("%d acked after the kill without name servers", r.P.AckedSince("", at))
}

// consumersComeAndGo reads with a group of consumers that lock nothing and commit what they got; each is dropped in the middle again
// and again. What the group got must be all that is stored, at least once.
func consumersComeAndGo(r *Round) {
	g := newGroupReader(r)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for q := range int64(Queues) {
		for _, group := range Groups {
			wg.Add(1)
			go func() { defer wg.Done(); g.queue(group, q, stop) }()
		}
	}
	c := &crowd{r: r, stop: make(chan struct{})}
	for r.More(2 * time.Second) {
		for i := range 50 {
			k := rpc.Client{Addr: r.Nodes[i%3].Brokers[Groups[i%3]], Timeout: 2 * time.Second}
			_, _ = k.Do(wire.Heartbeat, nil, heartbeat(fmt.Sprintf("comer-%d-%d", i, time.Now().UnixNano()), "comers", r.Topic))
			k.Close() // gone without a word
		}
		c.redialed.Add(50)
	}
	r.data["finish"] = func() { g.finish(stop, &wg) }
	r.Note("%d consumers came and went", c.redialed.Load())
}

// groupReader is a consumer group by hand: one reader for each queue that starts again from the committed offset.
type groupReader struct {
	r     *Round
	mu    sync.Mutex
	seen  map[string]int
	again int
}

func newGroupReader(r *Round) *groupReader { return &groupReader{r: r, seen: map[string]int{}} }

func (g *groupReader) queue(group string, queue int64, stop chan struct{}) {
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			return
		default:
		}
		g.life(g.r.Nodes[turn%3].Brokers[group], queue, stop)
		g.mu.Lock()
		g.again++
		g.mu.Unlock()
	}
}

// life is one consumer's: it asks where the group is, reads about ten times, and dies before it commits the last batch.
func (g *groupReader) life(addr string, queue int64, stop chan struct{}) {
	c := rpc.Client{Addr: addr, Timeout: 5 * time.Second}
	defer c.Close()
	who := []rpc.Field{{Name: "consumerGroup", Value: "readers"}, {Name: "topic", Value: g.r.Topic}, {Name: "queueId", Value: strconv.FormatInt(queue, 10)}}
	f, err := c.Do(wire.QueryConsumerOffset, who, nil)
	if err != nil || f.Code != 0 && f.Code != 22 {
		time.Sleep(50 * time.Millisecond)
		return
	}
	at, _ := f.Int("offset", 0)
	for range 10 {
		next, err := g.pull(&c, queue, at)
		if err != nil || next == at {
			time.Sleep(100 * time.Millisecond)
			return
		}
		at = next
		select {
		case <-stop:
			return
		default:
		}
		if at%7 != 0 {
			_, _ = c.Do(wire.UpdateConsumerOffset, append(who[:3:3], rpc.Field{Name: "commitOffset", Value: strconv.FormatInt(at, 10)}), nil)
		}
	}
}

func (g *groupReader) pull(c *rpc.Client, queue, at int64) (int64, error) {
	a, err := c.Do(wire.PullMessage, []rpc.Field{
		{Name: "consumerGroup", Value: "readers"}, {Name: "topic", Value: g.r.Topic}, {Name: "queueId", Value: strconv.FormatInt(queue, 10)},
		{Name: "queueOffset", Value: strconv.FormatInt(at, 10)}, {Name: "maxMsgNums", Value: "32"}, {Name: "sysFlag", Value: "4"},
		{Name: "commitOffset", Value: "0"}, {Name: "suspendTimeoutMillis", Value: "0"}, {Name: "subscription", Value: "*"}, {Name: "subVersion", Value: "0"},
	}, nil)
	if err != nil || a.Code != 0 {
		return at, err
	}
	for b := a.Body; len(b) > 0; {
		v, err := message.Parse(b)
		if err != nil {
			return at, err
		}
		g.mu.Lock()
		g.seen[string(message.Property(v.Properties(), message.PropUniqKey))]++
		g.mu.Unlock()
		at = v.QueueOffset() + 1
		b = b[len(v):]
	}
	return at, nil
}

// finish waits until everything that was acked was read.
func (g *groupReader) finish(stop chan struct{}, wg *sync.WaitGroup) {
	left := 0
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		left = 0
		g.mu.Lock()
		for _, s := range g.r.P.History() {
			if s.Acked && g.seen[s.ID] == 0 {
				left++
			}
		}
		g.mu.Unlock()
		if left == 0 {
			break
		}
	}
	close(stop)
	wg.Wait()
	twice := 0
	for _, n := range g.seen {
		if n > 1 {
			twice++
		}
	}
	g.r.Note("the group read %d messages, %d more than once, with %d deaths", len(g.seen), twice, g.again)
	if left > 0 {
		g.r.Fail("%d acked messages never reached the group", left)
	}
}

// topicAgain deletes a topic that producers write to, and makes it again: nothing of before is in it.
func topicAgain(r *Round) {
	p := &Producers{Topic: "reborn", Workers: 3, Tries: 3, Pause: 4 * time.Millisecond, Body: 100, Servers: r.NameServers(), RouteFor: time.Second}
	p.number.Store(1 << 44)
	if err := p.Start(); err != nil {
		r.Fail("%v", err)
		return
	}
	defer func() { p.Stop() }()
	for round := 0; ; round++ {
		time.Sleep(2 * time.Second)
		if round%2 == 1 {
			l := r.Leader(Groups[0])
			l.Kill()
			defer r.again(l)
			time.Sleep(3 * time.Second)
		}
		before := time.Now()
		for _, g := range Groups {
			r.admin(g, wire.DeleteTopicInBroker, rpc.Field{Name: "topic", Value: "reborn"})
		}
		r.reborn(p, before)
		if round > 0 || !r.More(0) {
			return
		}
	}
}

// admin asks any member that answers, as tools do.
func (r *Round) admin(group string, code int32, fields ...rpc.Field) {
	why := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		for _, n := range r.Nodes {
			if !n.Running() {
				continue
			}
			c := rpc.Client{Addr: n.Brokers[group], Timeout: 15 * time.Second}
			f, err := c.Do(code, fields, nil)
			c.Close()
			if err == nil && f.Code == 0 {
				return
			}
			if why = fmt.Sprint(err); err == nil {
				why = fmt.Sprintf("code %d %s", f.Code, f.Remark)
			}
		}
	}
	r.Fail("request %d to %s: %s", code, group, why)
}

// reborn: the topic has only messages whose sending ended after the deletion began.
func (r *Round) reborn(p *Producers, before time.Time) {
	time.Sleep(3 * time.Second)
	old := map[string]bool{}
	for _, s := range p.History() {
		if s.Done.Before(before) {
			old[s.ID] = true
		}
	}
	found, err := drainPatiently(r.Leader(Groups[1]), "reborn")
	if err != nil {
		r.Fail("the topic that was made again: %v", err)
		return
	}
	ghosts := 0
	for place, id := range found {
		if old[id] {
			if ghosts++; ghosts == 1 {
				r.Fail("%v of the new topic holds %s, which was acked before the topic was deleted", place, id)
			}
		}
	}
	r.Note("%d old messages deleted, %d in the new topic", len(old), len(found))
}
