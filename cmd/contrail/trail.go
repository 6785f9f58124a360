package main

import "context"

type trailStore struct{}

func (n *node) startTrail(context.Context) error { return nil }

func (n *node) startConsole() error { return nil }
