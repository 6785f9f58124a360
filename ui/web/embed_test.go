package web

import (
	"io/fs"
	"testing"
)

func TestThereIsAlwaysAPage(t *testing.T) {
	files, built := FS()
	if _, err := fs.Stat(files, "index.html"); err != nil {
		t.Fatalf("no index.html (built: %v): %v", built, err)
	}
}
