package service

import (
	"net/netip"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/shard"
)

// Identity is what a client said of itself in its heartbeat or request headers.
type Identity struct {
	ClientID string
	Language string // JAVA, GO …
	Version  string // V5_5_0 …
}

// Client is one connection as a front knows it. The front creates it at accept and closes it once.
type Client struct {
	Addr      netip.AddrPort
	Protocol  string // remoting or grpc
	addrText  string
	identity  atomic.Pointer[Identity]
	closed    atomic.Bool
	producers map[string]*producer // by group; used by the connection's reading goroutine only
	last      *target              // of the last message sent
}

// producer is one producer group of a connection; it is defined anew when the client tells another identity.
type producer struct {
	shard.Producer
	identity *Identity
}

const producersMax = 1000 // groups of one connection

// NewClient is a connection that has not said who it is.
func NewClient(addr netip.AddrPort, protocol string) *Client {
	c := &Client{Addr: addr, addrText: addr.String(), Protocol: protocol, producers: map[string]*producer{}}
	c.identity.Store(&Identity{})
	return c
}

// AddrText is the client's ip:port.
func (c *Client) AddrText() string { return c.addrText }

// Identity is the latest one told.
func (c *Client) Identity() Identity { return *c.identity.Load() }

// SetIdentity stores what the client said of itself.
func (c *Client) SetIdentity(id Identity) {
	if *c.identity.Load() != id {
		c.identity.Store(&id)
	}
}

// name is what the trail calls a client: its id, or its address before it told one.
func (c *Client) name() string {
	if id := c.Identity().ClientID; id != "" {
		return id
	}
	return c.addrText
}

// producer finds or makes the trail's name of a producer group of this connection.
func (s *Service) producer(c *Client, group []byte) *shard.Producer {
	id := c.identity.Load()
	if p := c.producers[string(group)]; p != nil && p.identity == id {
		return &p.Producer
	}
	if len(c.producers) >= producersMax {
		clear(c.producers)
	}
	p := &producer{identity: id}
	p.Ref, p.Group, p.ClientID = s.shard.NewRef(), string(group), id.ClientID
	p.Addr, p.Language, p.Version, p.Protocol = c.addrText, id.Language, id.Version, c.Protocol
	c.producers[p.Group] = p
	return &p.Producer
}
