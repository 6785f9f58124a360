package service

import (
	"net/netip"
	"sync/atomic"
)

// Identity is what a client said of itself in its heartbeat or request headers.
type Identity struct {
	ClientID string
	Language string // JAVA, GO …
	Version  string // V5_5_0 …
}

// Client is one connection as a front knows it. The front creates it at accept and closes it once.
type Client struct {
	Addr     netip.AddrPort
	Protocol string // remoting or grpc
	// Push sends a request of the server to the client, one-way; it must not block and may drop. Set by the front.
	Push func(code int, fields map[string]string, body []byte)

	identity  atomic.Pointer[Identity]
	producers map[string]*Producer // by group; used by the connection's reading goroutine only
}

// NewClient is a connection that has not said who it is.
func NewClient(addr netip.AddrPort, protocol string) *Client {
	c := &Client{Addr: addr, Protocol: protocol, producers: map[string]*Producer{}}
	c.identity.Store(&Identity{})
	return c
}

// Identity is the latest one told.
func (c *Client) Identity() Identity { return *c.identity.Load() }

// SetIdentity stores what the client said of itself.
func (c *Client) SetIdentity(id Identity) { c.identity.Store(&id) }
