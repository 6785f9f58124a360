package api

import (
	"bytes"
	"testing"
)

func TestCommittedDocumentIsTheTypes(t *testing.T) {
	b, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, Document) {
		t.Error("openapi.json is older than the Go types: run go generate ./ui/api")
	}
}
