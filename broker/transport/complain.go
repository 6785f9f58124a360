package transport

import (
	"log/slog"
	"sync"
	"time"
)

const complaintsMax = 256 // kinds of lines that are told apart

// complaints bounds how often a line of one kind is logged: a flood of bad peers must not become a flood of lines.
type complaints struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[string]time.Time
}

// warn logs, unless it did for this key less than every ago.
func (c *complaints) warn(key string, every time.Duration, msg string, args ...any) {
	if c.due(key, every, time.Now()) {
		c.log.Warn("node transport: "+msg, args...)
	}
}

func (c *complaints) due(key string, every time.Duration, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.last[key]; ok && now.Sub(last) < every {
		return false
	}
	if len(c.last) >= complaintsMax {
		clear(c.last)
	}
	c.last[key] = now
	return true
}
