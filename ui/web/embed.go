// Package web holds the console's built page.
package web

import (
	"embed"
	"io/fs"
)

// The pattern names two folders: dist, which `npm run build` makes and git does not keep, and dist-absent, which git keeps,
// so that the package compiles without node.
//
//go:embed dist*/*
var built embed.FS

// FS is the page's files, index.html at the root. It is false when only the page that says so is there.
func FS() (fs.FS, bool) {
	folder, there := "dist-absent", false
	if _, err := fs.Stat(built, "dist/index.html"); err == nil {
		folder, there = "dist", true
	}
	sub, err := fs.Sub(built, folder)
	if err != nil {
		panic(err) // a constant, valid path
	}
	return sub, there
}
