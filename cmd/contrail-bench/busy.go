package main

import (
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// busyPeriod is how often a busy process works and rests: as often as blocks of rows go to the trail's engine (ship.Options.Linger).
const busyPeriod = 700 * time.Millisecond

// busyCommand is a process that does nothing but to be busy, as humble as the trail's engine is: what it costs a broker's messages is what any
// process on the same processor costs them.
func busyCommand() *cobra.Command {
	return &cobra.Command{Use: "busy SHARE", Short: "Takes a share of one core", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		share, err := strconv.ParseFloat(args[0], 64)
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 10); err != nil {
			return err
		}
		for {
			for began := time.Now(); time.Since(began) < time.Duration(share*float64(busyPeriod)); {
			}
			time.Sleep(time.Duration((1 - share) * float64(busyPeriod)))
		}
	}}
}

// beside runs f while another process takes a share of a core; 0: while none does.
func beside(share float64, f func() (window, error)) (window, error) {
	if share == 0 {
		return f()
	}
	self, err := os.Executable()
	if err != nil {
		return window{}, err
	}
	c := exec.Command(self, "busy", strconv.FormatFloat(share, 'f', -1, 64))
	if err := c.Start(); err != nil {
		return window{}, err
	}
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}()
	return f()
}
