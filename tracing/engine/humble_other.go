//go:build !linux

package engine

func humble() error              { return nil }
func confine(ChildOptions) error { return ErrPlatform }
