package remoting

import (
	"bytes"
	"strings"
	"time"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// conn is one client's connection. Its fields belong to the reading goroutine.
type conn struct {
	s       *Server
	rpc     *rpc.Conn
	client  *service.Client
	who     *service.Client            // asks what the frame asks: client, or a guest
	relayed bool                       // the frame came through another member
	guests  map[string]*service.Client // clients of other members by address, whose requests come over this connection
	lane    int                        // of the relay
	frame   *wire.Frame                // that a handler of a call has at hand
	kept    *kept                      // the frames of parcel; nil in a group of one
	parcel  *service.Parcel
	header  service.SendHeader // scratch
	readAt  int64              // µs, of the frames being handled; 0: not asked for yet
	asks    asks               // what its client was asked
	acked   acked              // acks to be answered together
	names   map[string]string  // names of groups, topics and subscriptions met, so that pulls need not copy them
}

const (
	namesMax     = 1000 // strings kept by one connection
	nameKeep     = 512  // bytes of a string that is kept
	parcelBytes  = 512 << 10
	clientIDMax  = 255
	pushedOpaque = 0
)

// introduce takes language and version from the first frame, and the client's id from a request message: a reply must find the
// client before its first heartbeat, which may come 31 s after its start.
func (c *conn) introduce(f *wire.Frame) {
	id := c.client.Identity()
	if id.ClientID == "" && c.guests == nil && (f.Code == wire.SendMessage || f.Code == wire.SendMessageV2) {
		c.callsItself(f)
		id = c.client.Identity()
	}
	if id.Language != "" {
		return
	}
	id.Language, id.Version = f.LanguageName(), wire.VersionName(f.Version)
	c.client.SetIdentity(id)
}

// callsItself reads REPLY_TO_CLIENT of a message that a client sends itself.
func (c *conn) callsItself(f *wire.Frame) {
	run := f.Get("i")
	if f.Code == wire.SendMessage {
		run = f.Get("properties")
	}
	if !bytes.Contains(run, replyToName) || f.Get(relayedField) != nil {
		return
	}
	name := message.Property(run, propReplyTo)
	if n := len(name); n == 0 || n > clientIDMax || !c.s.clients.Call(c, string(name)) {
		return
	}
	id := c.client.Identity()
	id.ClientID = string(name)
	c.client.SetIdentity(id)
}

var replyToName = []byte(propReplyTo + "\x01")

// identify takes what a heartbeat says.
func (c *conn) identify(clientID string) group.Identity {
	id := c.client.Identity()
	id.ClientID = clientID
	c.client.SetIdentity(id)
	return group.Identity{
		ClientID: clientID, Addr: c.rpc.Addr.String(), Protocol: "remoting", Language: id.Language, Version: id.Version,
	}
}

// Notify tells the client that a group's members changed (code 40).
func (c *conn) Notify(name string) {
	c.rpc.Reply(func(dst []byte) []byte {
		w := wire.Oneway(dst, pushedOpaque, wire.ConsumerIDsChanged)
		w.String("consumerGroup", name)
		return w.End(0)
	})
}

func (c *conn) now() int64 {
	if c.readAt == 0 {
		c.readAt = time.Now().UnixMicro()
	}
	return c.readAt
}

// name gives b as a string without copying it each time.
func (c *conn) name(b []byte) string {
	if s, ok := c.names[string(b)]; ok {
		return s
	}
	if len(b) > nameKeep {
		return string(b)
	}
	if len(c.names) >= namesMax {
		clear(c.names)
	}
	s := string(b)
	c.names[s] = s
	return s
}

// refuse answers with an error, and tells the trail. What the leader may still do goes to the leader.
func (c *conn) refuse(call *rpc.Call, err *service.Error) {
	if err.NotLed() && c.s.relay != nil && c.frame != nil && elsewhere[call.Code] {
		c.voted(call, c.frame)
		return
	}
	c.refuseOf(call, "", "", err)
}

func (c *conn) refuseOf(call *rpc.Call, topic, group string, err *service.Error) {
	call.Fail(err.Code, "%s", err.Text)
	c.refused(c.who, int(call.Code), topic, group, err)
}

// refused keeps refusals that tell of a client's mistake or of overload; that there is nothing to give is none. What was relayed
// is kept by the member that the client is connected to.
func (c *conn) refused(client *service.Client, request int, topic, group string, err *service.Error) {
	switch err.Code {
	case service.CodeQueryNotFound, service.CodePullNotFound, service.CodePullRetryImmediately, service.CodePullOffsetMoved:
		return
	}
	if f := c.s.opts.Refused; f != nil && client == c.client {
		f(Refusal{request, client.Identity().ClientID, client.AddrText(), topic, group, err.Error()})
	}
}

// done answers an operation that gives nothing but success.
func (c *conn) done(call *rpc.Call, err *service.Error) {
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil)
}

// args reads the ext fields of a request, remembering the first one that is not a number.
type args struct {
	f   *wire.Frame
	err error
}

func (a *args) int(name string, def int64) int64 {
	n, err := a.f.Int(name, def)
	if err != nil && a.err == nil {
		a.err = err
	}
	return n
}

// int32 also refuses what does not fit.
func (a *args) int32(name string, def int32) int32 {
	n := a.int(name, int64(def))
	if n != int64(int32(n)) && a.err == nil {
		a.err = service.Refuse(service.CodeSystemError, "field %s: %d does not fit into 32 bits", name, n)
	}
	return int32(n)
}

func (a *args) refusal() *service.Error {
	if a.err == nil {
		return nil
	}
	return service.Refuse(service.CodeSystemError, "%s", strings.TrimPrefix(a.err.Error(), "code 1: "))
}
