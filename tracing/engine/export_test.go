package engine

import (
	"fmt"
	"time"
)

// ProbeSignals opens engine connections, then dereferences nil: on a goroutine of its own, after the engine has run a query.
func ProbeSignals(library, data string, recovering bool) (string, error) {
	lib, err := openLibrary(library)
	if err != nil {
		return "", err
	}
	for range 3 {
		conn, err := lib.connect([]string{"--path=" + data})
		if err != nil {
			return "", err
		}
		if err := (&session{conn: conn}).exec("SELECT sum(number) FROM numbers(1000000)"); err != nil {
			return "", err
		}
	}
	said := make(chan string)
	go func() {
		if recovering {
			defer func() { said <- fmt.Sprint(recover()) }()
		}
		var nothing *summary
		nothing.rowsRead++
	}()
	return <-said, nil
}

// WithPings makes a supervisor find out sooner that its engine hangs.
func (o Options) WithPings(every, timeout time.Duration) Options {
	o.pings = pings{every: every, timeout: timeout, missed: 2}
	return o
}
