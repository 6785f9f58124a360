//go:build !linux

package engine

import (
	"os"
	"syscall"
)

func humble() error              { return nil }
func confine(ChildOptions) error { return ErrPlatform }
func grow(*os.File)              {}

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
