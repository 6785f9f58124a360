package main

import (
	"hash/crc32"
	"io"
	"net"
	"os"
	"sync"

	"github.com/contrailmq/contrail/broker/wire"
)

// floor is a server that does only what no broker can avoid: read with a large buffer, walk the header, checksum the body,
// append it by group commit to a log that is kept (with fdatasync when sync is set), and answer all that a commit covers with
// one write for each connection. No topics, no index, no offsets: nothing could be consumed from it.
type floor struct {
	log  *floorLog
	sync bool

	mu      sync.Mutex
	cond    sync.Cond
	pending []byte
	spare   []byte
	waiting []*floorConn
	at      int64
}

const floorRead = 128 << 10

type floorConn struct {
	conn    net.Conn
	answers []byte // of what waits for the commit
	sending []byte
}

func serveFloor(listen, dir string, sync bool) error {
	log, err := newFloorLog(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := &floor{log: log, sync: sync}
	s.cond.L = &s.mu
	go s.commit()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.serve(&floorConn{conn: c})
	}
}

func (s *floor) serve(c *floorConn) {
	defer c.conn.Close()
	buf, n := make([]byte, floorRead), 0
	var f wire.Frame
	for {
		m, err := c.conn.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		b := buf[:n]
		s.mu.Lock()
		first := len(c.answers) == 0
		for {
			frame, rest, need, err := wire.Split(b)
			if err != nil || frame != nil && f.Decode(frame) != nil {
				s.mu.Unlock()
				return
			}
			if frame == nil {
				n = copy(buf, rest)
				if need > len(buf) {
					buf = append(buf, make([]byte, need-len(buf))...)
				}
				break
			}
			s.take(c, &f)
			b = rest
		}
		if first && len(c.answers) > 0 {
			s.waiting = append(s.waiting, c)
			s.cond.Signal()
		}
		s.mu.Unlock()
	}
}

func (s *floor) take(c *floorConn, f *wire.Frame) {
	sum := crc32.ChecksumIEEE(f.Body)
	s.pending = append(append(s.pending, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)), f.Body...)
	w := wire.Response(c.answers, f.Type, f.Opaque, 0, "")
	w.String("msgId", "7F00000100002A9F0000000000000000")
	w.Int("queueId", 0)
	w.Int("queueOffset", s.at)
	c.answers = w.End(0)
}

// commit writes what has gathered while the commit before ran.
func (s *floor) commit() {
	for {
		s.mu.Lock()
		for len(s.waiting) == 0 {
			s.cond.Wait()
		}
		b, conns := s.pending, s.waiting
		s.pending, s.waiting = s.spare[:0], nil
		for _, c := range conns {
			c.sending, c.answers = c.answers, c.sending[:0]
		}
		s.at += int64(len(b))
		s.mu.Unlock()
		if err := s.log.append(b, s.sync); err != nil {
			_, _ = io.WriteString(os.Stderr, "floor: "+err.Error()+"\n")
			os.Exit(1)
		}
		s.spare = b
		for _, c := range conns {
			if _, err := c.conn.Write(c.sending); err != nil {
				c.conn.Close()
			}
		}
	}
}
