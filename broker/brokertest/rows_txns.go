package brokertest

import (
	"encoding/json"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// txnRows are W6: transactional messages.
func txnRows() []*Row {
	w := "W1 W6 W7"
	return []*Row{
		{
			Number: 40, Fault: "producers die between half message and decision, and the leader in between; others of their group are asked", Workload: w, Pause: 10 * time.Millisecond,
			Options: ClusterOptions{Extra: "transactions: {timeout: 1s, checkInterval: 1s, checksMax: 100}\n"}, Run: orphans,
		},
		{
			Number: 41, Fault: "ends of transactions come twice, in another order, of another group, while a leader is killed", Workload: w, Short: true, Pause: 10 * time.Millisecond,
			Options: ClusterOptions{Extra: "transactions: {timeout: 10m, checkInterval: 10m}\n"}, Run: contradicted,
		},
	}
}

// Decisions of END_TRANSACTION.
const (
	txnUnknown  = 0
	txnCommit   = 8
	txnRollback = 12
)

// half is the history of one transactional message.
type half struct {
	id               string
	acked            bool
	offset, position int64
	plan             int32 // what its producers decide

	commit   atomic.Int64 // ms, when its commit was asked for first; 0: never
	accepted [2]atomic.Int64
	asked    atomic.Int64
}

func (h *half) decides(d int32) {
	if d == txnCommit {
		h.commit.CompareAndSwap(0, time.Now().UnixMilli())
	}
}

// txnSet is a set of transactional messages of the first broker group, all of one topic and producer group.
type txnSet struct {
	r     *Round
	topic string
	group string // of producers
	mu    sync.Mutex
	byID  map[string]*half
	next  atomic.Int64
}

func newTxnSet(r *Round, topic string) *txnSet {
	r.MakeTopic(Groups[0], topic, Queues)
	return &txnSet{r: r, topic: topic, group: topic + "-producers", byID: map[string]*half{}}
}

func (t *txnSet) of(id string) *half {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

// begin stores one half message, with one try.
func (t *txnSet) begin(c *Caller, plan int32) *half {
	n := t.next.Add(1)
	h := &half{id: uniqID(t.r.Row.Number, n), plan: plan}
	t.mu.Lock()
	t.byID[h.id] = h
	t.mu.Unlock()
	fields := sendFields(t.topic, h.id, n%Queues, Queues, "TRAN_MSG", "true", "PGROUP", t.group)
	fields[0].Value = t.group
	fields[5].Value = "4" // prepared
	f, err := c.Once(wire.SendMessageV2, fields, bodyOf(h.id, 80))
	if err != nil || f.Code != 0 {
		return h
	}
	h.offset, _ = f.Int("queueOffset", -1)
	_, h.position, err = message.ParseOffsetID(f.String("msgId"))
	if h.acked = err == nil && h.offset >= 0; !h.acked {
		t.r.Fail("a half message is answered with %v", f.Fields)
	}
	return h
}

func (t *txnSet) endFields(group string, offset, position int64, decision int32, checked bool) []rpc.Field {
	return []rpc.Field{
		{Name: "producerGroup", Value: group}, {Name: "tranStateTableOffset", Value: strconv.FormatInt(offset, 10)}, {Name: "commitLogOffset", Value: strconv.FormatInt(position, 10)},
		{Name: "commitOrRollback", Value: strconv.Itoa(int(decision))}, {Name: "fromTransactionCheck", Value: strconv.FormatBool(checked)}, {Name: "msgId", Value: "x"},
	}
}

// open is how many transactions nobody decided yet; -1: nobody answers.
func (t *txnSet) open(c *Caller) (l inspect.TransactionList) {
	f, err := c.Once(wire.Transactions, []rpc.Field{{Name: "limit", Value: "1"}}, nil)
	if err != nil || f.Code != 0 || json.Unmarshal(f.Body, &l) != nil {
		l.Open = -1
	}
	return l
}

// heir is a producer of a group that is connected to all members, and answers when it is asked about a transaction.
type heir struct {
	t      *txnSet
	client string
	group  string
	decide func(h *half) int32

	stop  chan struct{}
	done  sync.WaitGroup
	asked atomic.Int64
}

func (t *txnSet) heir(client, group string, decide func(*half) int32) *heir {
	p := &heir{t: t, client: client, group: group, decide: decide, stop: make(chan struct{})}
	for _, n := range t.r.Nodes {
		p.done.Add(1)
		go p.member(n.Brokers[Groups[0]])
	}
	return p
}

func (p *heir) end() {
	close(p.stop)
	p.done.Wait()
}

func (p *heir) member(addr string) {
	defer p.done.Done()
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			p.connected(c)
		}
	}
}

// connected sends heartbeats and answers questions until the connection ends.
func (p *heir) connected(c net.Conn) {
	var mu sync.Mutex
	write := func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(b)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.listen(c, write)
	}()
	beat, _ := json.Marshal(map[string]any{"clientID": p.client, "producerDataSet": []any{map[string]string{"groupName": p.group}}, "consumerDataSet": []any{}})
	for {
		write(append(requestFrame(nil, 1, wire.Heartbeat, nil, len(beat)), beat...))
		select {
		case <-p.stop:
			c.Close()
			<-ended
			return
		case <-ended:
			c.Close()
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (p *heir) listen(c net.Conn, write func([]byte)) {
	var buf []byte
	for {
		var f wire.Frame
		var err error
		if buf, err = readFrame(c, &f, buf); err != nil {
			return
		}
		if f.Code == wire.CheckTransaction && !f.Response() {
			p.checked(&f, write)
		}
	}
}

// checked answers a question as official producers do: one-way, on the same connection.
func (p *heir) checked(f *wire.Frame, write func([]byte)) {
	p.asked.Add(1)
	v, err := message.Parse(f.Body)
	if err != nil {
		p.t.r.Fail("a check without a readable message: %v", err)
		return
	}
	h := p.t.of(string(message.Property(v.Properties(), message.PropUniqKey)))
	offset, _ := f.Int("tranStateTableOffset", -1)
	position, _ := f.Int("commitLogOffset", -1)
	switch {
	case h == nil || string(v.Topic()) != p.t.topic:
		p.t.r.Fail("%s is asked about a message of %s that its group did not send", p.client, v.Topic())
		return
	case h.acked && (offset != h.offset || position != h.position):
		p.t.r.Fail("%s is asked about %s at %d, %d; it was stored at %d, %d", p.client, h.id, offset, position, h.offset, h.position)
	}
	h.asked.Add(1)
	d := p.decide(h)
	h.decides(d)
	w := wire.Oneway(nil, 7, wire.EndTransaction)
	for _, field := range p.t.endFields(p.group, offset, position, d, true) {
		w.String(field.Name, field.Value)
	}
	write(w.End(0))
}

// orphans has producers die after their half messages; an heir of their group decides, one of another group must never be asked.
func orphans(r *Round) {
	t := newTxnSet(r, "orphaned")
	heir := t.heir("heir@1", t.group, func(h *half) int32 {
		if h.plan == txnUnknown { // decided when it is asked a second time
			if h.asked.Load() < 2 {
				return txnUnknown
			}
			return txnCommit
		}
		return h.plan
	})
	stranger := t.heir("stranger@1", "strangers", func(*half) int32 { return txnCommit })
	kills, generations := 0, 0
	for more := true; more; generations++ {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Add(1)
			go func() { defer wg.Done(); t.generation(w, 40) }()
		}
		if generations%2 == 1 {
			if l := r.Leader(Groups[0]); l != nil {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
				l.Kill()
				kills++
				time.Sleep(200 * time.Millisecond)
				r.again(l)
			}
		}
		wg.Wait()
		more = r.More(500 * time.Millisecond)
	}
	t.decided(60 * time.Second)
	asked := heir.asked.Load()
	heir.end()
	stranger.end()
	if stranger.asked.Load() > 0 {
		r.Fail("a producer of another group was asked %d times", stranger.asked.Load())
	}
	r.Note("%d generations of producers, %d kills of leaders, the heir was asked %d times", generations, kills, asked)
	r.data["finish"] = t.judge
}

// generation is a producer that stores n half messages, decides one in ten of them itself, and is gone.
func (t *txnSet) generation(w, n int) {
	c := t.r.Caller(Groups[0], w)
	defer c.Close()
	for i := range n {
		h := t.begin(c, []int32{txnCommit, txnRollback, txnUnknown}[rand.IntN(3)])
		if h.acked && h.plan != txnUnknown && i%10 == 0 {
			h.decides(h.plan)
			_, _ = c.Once(wire.EndTransaction, t.endFields(t.group, h.offset, h.position, h.plan, false), nil)
		}
	}
}

// decided waits until no transaction is open.
func (t *txnSet) decided(patience time.Duration) {
	c := t.r.Caller(Groups[0], 0)
	defer c.Close()
	var l inspect.TransactionList
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if l = t.open(c); l.Open == 0 {
			t.r.Note("%d transactions: %d committed, %d rolled back, %d given up, with %d checks", l.Begun, l.Committed, l.RolledBack, l.GivenUp, l.Checks)
			if l.GivenUp > 0 {
				t.r.Fail("%d transactions were given up", l.GivenUp)
			}
			return
		}
	}
	t.r.Fail("%d transactions are open after %v", l.Open, patience)
}

// judge: what was to be committed came once and not before anybody asked for it; what was to be rolled back never.
func (t *txnSet) judge() { t.verdict(t.r.everywhere(Groups[0], t.topic, Queues)) }

func (t *txnSet) verdict(kept map[Place]Kept) {
	came := copies(kept)
	early := 0
	for place, k := range kept {
		h := t.byID[k.ID]
		if h == nil {
			t.r.Fail("%v holds %q, which nobody sent", place, k.ID)
			continue
		}
		if at := h.commit.Load(); at == 0 || k.StoreTime < at {
			early++
		}
	}
	acked, lost, twice, wrong := 0, 0, 0, 0
	for id, h := range t.byID {
		n, commits := came[id], h.plan != txnRollback
		if n > 1 {
			twice++
		}
		if !commits {
			wrong += n
		}
		if h.acked {
			acked++
			if commits && n == 0 {
				lost++
			}
		}
	}
	t.r.Note("%d half messages acked, %d came", acked, len(kept))
	if early+lost+twice+wrong > 0 {
		t.r.Fail("TRANSACTIONS: %d came before anybody committed them, %d lost, %d came twice, %d came that were rolled back", early, lost, twice, wrong)
	}
}

// contradicted has many ask for contradicting ends of the same transactions at once. The first decision wins.
func contradicted(r *Round) {
	t := newTxnSet(r, "contradicted")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var ends, refused, foreign atomic.Int64
	for w := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
					t.contradict(w, &ends, &refused, &foreign)
				}
			}
		}()
	}
	kills := 0
	for r.More(3 * time.Second) {
		if l := r.Leader(Groups[0]); l != nil {
			l.Kill()
			kills++
			time.Sleep(500 * time.Millisecond)
			r.again(l)
		}
	}
	close(stop)
	wg.Wait()
	r.Note("%d ends of %d transactions, %d refused because it was decided otherwise, %d of another group or place refused; %d kills", ends.Load(), t.next.Load(), refused.Load(), foreign.Load(), kills)
	r.data["finish"] = func() { t.firstWins(r.everywhere(Groups[0], t.topic, Queues)) }
}

// contradict begins some transactions and ends each several times, three callers at once.
func (t *txnSet) contradict(w int, ends, refused, foreign *atomic.Int64) {
	c := t.r.Caller(Groups[0], w)
	defer c.Close()
	var some []*half
	for range 20 {
		if h := t.begin(c, txnUnknown); h.acked {
			some = append(some, h)
		}
	}
	var wg sync.WaitGroup
	for k := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := t.r.Caller(Groups[0], w+k)
			defer c.Close()
			for _, i := range rand.Perm(len(some)) {
				t.end(c, some[i], ends, refused, foreign)
			}
		}()
	}
	wg.Wait()
}

// end asks for an end by somebody who may not, for one by chance, and for the same one again.
func (t *txnSet) end(c *Caller, h *half, ends, refused, foreign *atomic.Int64) {
	until := time.Now().Add(20 * time.Second)
	for _, wrong := range [][]rpc.Field{
		t.endFields("strangers", h.offset, h.position, txnCommit, false), t.endFields(t.group, h.offset, h.position+1, txnCommit, false), t.endFields("strangers", h.offset, h.position, txnRollback, true),
	} {
		f, _, err := c.Do(until, wire.EndTransaction, wrong, nil)
		if err == nil && f.Code != 1 {
			t.r.Fail("an end of another group or place is answered %d %s", f.Code, f.Remark)
		}
		foreign.Add(1)
	}
	d := []int32{txnCommit, txnRollback}[rand.IntN(2)]
	for range 2 {
		h.decides(d)
		f, _, err := c.Do(until, wire.EndTransaction, t.endFields(t.group, h.offset, h.position, d, rand.IntN(2) == 0), nil)
		ends.Add(1)
		switch {
		case err != nil:
		case f.Code == 0:
			h.accepted[d/txnRollback].Add(1)
		case f.Code == 604:
			refused.Add(1)
		default:
			t.r.Fail("an end is answered %d %s", f.Code, f.Remark)
		}
	}
}

// firstWins: the ends that were accepted of a transaction are all the same, and the message is there once where it was committed.
func (t *txnSet) firstWins(kept map[Place]Kept) {
	came := copies(kept)
	both, wrong, none, commits, rollbacks := 0, 0, 0, 0, 0
	for id, h := range t.byID {
		c, b := h.accepted[0].Load(), h.accepted[1].Load()
		switch {
		case c > 0 && b > 0:
			both++
		case c > 0:
			if commits++; came[id] != 1 {
				wrong++
			}
		case b > 0:
			if rollbacks++; came[id] != 0 {
				wrong++
			}
		case h.acked:
			none++
		case came[id] > 0:
			wrong++
		}
	}
	for place, k := range kept {
		if h := t.byID[k.ID]; h == nil || k.StoreTime < h.commit.Load() || h.commit.Load() == 0 {
			t.r.Fail("%v holds %q, which nobody committed by then", place, k.ID)
		}
	}
	t.r.Note("%d committed, %d rolled back", commits, rollbacks)
	if both+wrong+none > 0 || commits == 0 || rollbacks == 0 {
		t.r.Fail("TRANSACTIONS: of %d both ends were accepted, %d do not stand as they were decided, %d have no accepted end", both, wrong, none)
	}
}
