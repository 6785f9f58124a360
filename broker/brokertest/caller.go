package brokertest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// Caller asks members of one broker group in turn until one answers definitely. Not safe for concurrent use.
type Caller struct {
	C       *Cluster
	Group   string
	Timeout time.Duration // of one try; 0: 3 s

	turn    int
	clients map[string]*rpc.Client
}

// Caller of a broker group; begin says which member is asked first.
func (c *Cluster) Caller(group string, begin int) *Caller {
	return &Caller{C: c, Group: group, turn: begin, clients: map[string]*rpc.Client{}}
}

// Close ends the connections.
func (c *Caller) Close() {
	for _, k := range c.clients {
		k.Close()
	}
}

// errUnknown is an answer that says that the outcome is not known.
var errUnknown = errors.New("the outcome is not known")

// Once asks one member; the answer is good until the next request. Whether an error leaves the outcome open, isDefinite says. After an
// error the next member's turn comes.
func (c *Caller) Once(code int32, fields []rpc.Field, body []byte) (*wire.Frame, error) {
	addr := c.C.Nodes[c.turn%len(c.C.Nodes)].Brokers[c.Group]
	k := c.clients[addr]
	if k == nil {
		k = &rpc.Client{Addr: addr, Timeout: 3 * time.Second}
		if c.Timeout > 0 {
			k.Timeout = c.Timeout
		}
		c.clients[addr] = k
	}
	f, err := k.Do(code, fields, body)
	switch {
	case err != nil:
	case f.Code == 1 && strings.Contains(string(f.Remark), "NOT KNOWN"):
		err = fmt.Errorf("%w: %s", errUnknown, f.Remark)
	case f.Code == 2 || f.Code == 14:
		err = definiteError{fmt.Errorf("code %d %s", f.Code, f.Remark)}
	default:
		return f, nil
	}
	c.turn++
	return nil, err
}

// Do asks until a member answers definitely, or until end. unknown counts the tries of which nobody knows what they did.
func (c *Caller) Do(end time.Time, code int32, fields []rpc.Field, body []byte) (f *wire.Frame, unknown int, err error) {
	for {
		f, err = c.Once(code, fields, body)
		if err == nil {
			return f, unknown, nil
		}
		if !isDefinite(err) {
			unknown++
		}
		if time.Now().After(end) {
			return nil, unknown, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Pipeline asks n requests over one connection, width of them at a time, and hands each answer over; an answer is good until the next.
func Pipeline(addr string, n, width int, request func(i int) (code int32, fields []rpc.Field, body []byte), answered func(i int, f *wire.Frame)) error {
	c, err := net.DialTimeout("tcp", addr, 3*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	var in, out []byte
	for from := 0; from < n; from += width {
		to := min(from+width, n)
		out = out[:0]
		for i := from; i < to; i++ {
			code, fields, body := request(i)
			out = append(requestFrame(out, int32(i), code, fields, len(body)), body...)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(out); err != nil {
			return err
		}
		for range to - from {
			var f wire.Frame
			if in, err = readFrame(c, &f, in); err != nil {
				return err
			}
			answered(int(f.Opaque), &f)
		}
	}
	return nil
}

func requestFrame(dst []byte, opaque, code int32, fields []rpc.Field, body int) []byte {
	w := wire.Request(dst, wire.JSON, opaque, code)
	for _, f := range fields {
		w.String(f.Name, f.Value)
	}
	return w.End(body)
}

// readFrame reads one frame into buf, which is given back, perhaps grown; the frame's slices are in it.
func readFrame(c io.Reader, f *wire.Frame, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return buf, err
	}
	_, _, need, err := wire.Split(head[:])
	if err != nil {
		return buf, err
	}
	buf = append(buf[:0], make([]byte, max(need-4, 0))...)
	if _, err := io.ReadFull(c, buf); err != nil {
		return buf, err
	}
	return buf, f.Decode(buf)
}

// uniqID is the unique id of message n of a row; W1's ids are below 1<<41.
func uniqID(row int, n int64) string { return fmt.Sprintf("%s%016X", idPrefix, int64(row)<<48|n) }

// sendFields are those of code 310 for one message; props come in pairs.
func sendFields(topic, id string, queue, queues int64, props ...string) []rpc.Field {
	run := "UNIQ_KEY\x01" + id + "\x02KEYS\x01key-" + id + "\x02"
	for i := 0; i < len(props); i += 2 {
		run += props[i] + "\x01" + props[i+1] + "\x02"
	}
	return []rpc.Field{
		{Name: "a", Value: "by-hand"}, {Name: "b", Value: topic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: strconv.FormatInt(queues, 10)},
		{Name: "e", Value: strconv.FormatInt(queue, 10)}, {Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)},
		{Name: "h", Value: "0"}, {Name: "i", Value: run},
	}
}

// MakeTopic makes a topic in a broker group before there is a fault.
func (r *Round) MakeTopic(group, topic string, queues int) {
	n := strconv.Itoa(queues)
	r.admin(group, wire.UpdateTopic, rpc.Field{Name: "topic", Value: topic}, rpc.Field{Name: "defaultTopic", Value: "TBW102"}, rpc.Field{Name: "readQueueNums", Value: n},
		rpc.Field{Name: "writeQueueNums", Value: n}, rpc.Field{Name: "perm", Value: "6"}, rpc.Field{Name: "topicFilterType", Value: "SINGLE_TAG"}, rpc.Field{Name: "order", Value: "false"})
}

// Kept is what is stored at a place.
type Kept struct {
	ID        string
	StoreTime int64
	Times     int32 // reconsumed
	Bytes     int
}

// everywhere reads a topic of one broker group through each member, with patience for those that have just come back; the row fails
// where they differ, or where a message has another one's bytes. A topic that nobody made has nothing.
func (r *Round) everywhere(group, topic string, queues int64) (first map[Place]Kept) {
	for _, n := range r.Nodes {
		if r.Away[n.ID] != "" {
			continue
		}
		var got map[Place]Kept
		var err error
		for range 10 {
			if got, err = n.keeps(group, topic, queues); err == nil && (first == nil || sameKept(first, got) == "") {
				break
			}
			time.Sleep(time.Second)
		}
		switch {
		case err != nil:
			r.Fail("%s of %s through node %d: %v", topic, group, n.ID, err)
		case first == nil:
			first = got
		default:
			if why := sameKept(first, got); why != "" {
				r.Fail("%s of %s: node %d differs from another member at %s", topic, group, n.ID, why)
			}
		}
	}
	return first
}

func sameKept(a, b map[Place]Kept) string {
	for _, pair := range [][2]map[Place]Kept{{a, b}, {b, a}} {
		for place, k := range pair[0] {
			if pair[1][place] != k {
				return fmt.Sprintf("%v: %+v and %+v", place, k, pair[1][place])
			}
		}
	}
	return ""
}

func (n *Node) keeps(group, topic string, queues int64) (map[Place]Kept, error) {
	out := map[Place]Kept{}
	for q := range queues {
		_, err := Drain(n.Brokers[group], topic, q, func(v message.View) error {
			id, body := string(message.Property(v.Properties(), message.PropUniqKey)), v.Body()
			if string(body) != string(bodyOf(id, len(body))) {
				return fmt.Errorf("queue %d offset %d: message %s has another one's bytes", q, v.QueueOffset(), id)
			}
			out[Place{group, q, v.QueueOffset()}] = Kept{id, v.StoreTime(), v.ReconsumeTimes(), len(body)}
			return nil
		})
		if err != nil && !strings.Contains(err.Error(), "code 17") {
			return out, err
		}
	}
	return out, nil
}

// copies counts how often each message is kept.
func copies(kept map[Place]Kept) map[string]int {
	n := map[string]int{}
	for _, k := range kept {
		n[k.ID]++
	}
	return n
}
