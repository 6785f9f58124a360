package rpc

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// Client asks one server, one request at a time; it dials when it must. Not safe for concurrent use.
type Client struct {
	Addr    string
	Timeout time.Duration // of one request with its dialling

	conn   net.Conn
	opaque int32
	frame  wire.Frame
	buf    []byte
}

// Do sends a request and waits for its answer, which is good until the next Do. A failed connection is dialled again at the
// next call.
func (c *Client) Do(code int32, fields []Field, body []byte) (*wire.Frame, error) {
	f, err := c.do(code, fields, body)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("request %d to %s: %w", code, c.Addr, err)
	}
	return f, nil
}

func (c *Client) do(code int32, fields []Field, body []byte) (*wire.Frame, error) {
	deadline := time.Now().Add(c.Timeout)
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.Addr, c.Timeout)
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c.opaque++
	w := wire.Request(nil, wire.JSON, c.opaque, code)
	for _, f := range fields {
		w.String(f.Name, f.Value)
	}
	if _, err := c.conn.Write(append(w.End(len(body)), body...)); err != nil {
		return nil, err
	}
	for {
		if err := c.read(); err != nil {
			return nil, err
		}
		if c.frame.Response() && c.frame.Opaque == c.opaque {
			return &c.frame, nil
		}
	}
}

func (c *Client) read() error {
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return err
	}
	_, _, need, err := wire.Split(head[:])
	if err != nil {
		return err
	}
	c.buf = append(c.buf[:0], make([]byte, max(need-4, 0))...)
	if _, err := io.ReadFull(c.conn, c.buf); err != nil {
		return err
	}
	return c.frame.Decode(c.buf)
}

// Close ends the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
