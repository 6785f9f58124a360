package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// Times of a stream.
const (
	streamDial    = 5 * time.Second
	refusedWithin = 2 * time.Second
	refusedDrain  = 1 << 20
	streamLinger  = 10 * time.Second // for the other direction, when one has ended
)

// ServeStream joins a connection that another node opened to the engine's socket, until either side ends it: to the other node it
// is as if it had dialled the engine. It closes the connection. While the engine is down the other node's client is answered so, with
// the reason.
func (e *Engine) ServeStream(ctx context.Context, c net.Conn) error {
	defer c.Close()
	soon, cancel := context.WithTimeout(ctx, streamDial)
	defer cancel()
	own, err := e.Dial(soon)
	if err != nil {
		unavailable(c, err)
		return fmt.Errorf("engine: stream: %w", err)
	}
	defer own.Close()
	defer context.AfterFunc(ctx, func() { c.Close(); own.Close() })()
	return join(c, own)
}

// unavailable answers the request that comes first. It is read before and after: a connection that is closed over unread bytes may
// lose the answer.
func unavailable(c net.Conn, reason error) {
	_ = c.SetDeadline(time.Now().Add(refusedWithin))
	if _, err := c.Read(make([]byte, 4<<10)); err != nil {
		return
	}
	text := reason.Error()
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c, refusedDrain)
}

// join copies both ways. A side that says nothing more is passed on; what it waits for may still come for a while.
func join(a, b net.Conn) error {
	errs := make(chan error, 2)
	pass := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if w, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			err = w.CloseWrite()
		}
		errs <- err
	}
	go pass(a, b)
	go pass(b, a)
	first := <-errs
	linger := time.AfterFunc(streamLinger, func() { a.Close(); b.Close() })
	defer linger.Stop()
	if first != nil {
		a.Close()
		b.Close()
	}
	second := <-errs
	if first != nil {
		return first
	}
	return second
}
