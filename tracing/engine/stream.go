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
	streamDial   = 5 * time.Second
	streamLinger = 10 * time.Second // for the other direction, when one has ended
)

// ServeStream joins a connection that another node opened to the engine's socket, until either side ends it: to the other node it
// is as if it had dialled the engine. It closes the connection. While the engine is down it ends at once, and the other node's
// client sees a connection that was closed without an answer, as of a server that restarts.
func (e *Engine) ServeStream(ctx context.Context, c net.Conn) error {
	defer c.Close()
	soon, cancel := context.WithTimeout(ctx, streamDial)
	defer cancel()
	own, err := e.Dial(soon)
	if err != nil {
		return fmt.Errorf("engine: stream: %w", err)
	}
	defer own.Close()
	defer context.AfterFunc(ctx, func() { c.Close(); own.Close() })()
	return join(c, own)
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
