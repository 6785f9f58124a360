package contrail

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/contrailmq/contrail/"

// levels of the broker's packages; a package imports lower ones only.
var levels = map[string]int{
	"broker/message": 0, "broker/vfs": 0, "broker/wire": 0, "broker/inspect": 0, "broker/catalog": 0, "broker/plan": 0, "broker/beat": 0, "broker/complain": 0,
	"broker/timer": 0, "broker/agenda": 0, "broker/canon": 0, "broker/txn": 2, "broker/delivery": 2,
	"broker/entry": 1, "broker/seglog": 1, "broker/notes": 1, "broker/group": 1, "broker/rpc": 1, "broker/transport": 1, "broker/identity": 1,
	"broker/sql92": 1,
	"broker/queue": 2, "broker/offset": 2, "broker/consensus": 2, "broker/metrics": 2,
	"broker/shard": 3, "broker/sim": 4, "broker/service": 4, "broker/namesrv": 4, "broker/registrar": 5, "broker/remoting": 5, "broker/grpcapi": 5, "broker/brokertest": 6,
}

// allowed says which of our packages each part may import besides its own; nothing imports cmd.
var allowed = map[string][]string{
	"broker":      {"broker/"},
	"tracing":     {"tracing/", "broker/beat", "broker/entry", "broker/message", "broker/notes", "broker/vfs", "broker/seglog"},
	"diagnostics": {"diagnostics/", "tracing/trail", "broker/inspect", "broker/message"},
	"ui":          {"ui/", "diagnostics/", "tracing/trail", "broker/inspect", "broker/message"},
	"cmd":         {"broker/", "tracing/", "diagnostics/", "ui/"},
}

// TestImportsGoDown reads every import of the repository.
func TestImportsGoDown(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "run") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || path == "arch_test.go" {
			return nil
		}
		seen++
		checkImports(t, filepath.ToSlash(path))
		return nil
	})
	if err != nil || seen < 100 {
		t.Fatalf("%d files read: %v", seen, err)
	}
}

func checkImports(t *testing.T, path string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.ToSlash(filepath.Dir(path))
	part, _, _ := strings.Cut(own, "/")
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		to, ours := strings.CutPrefix(name, module)
		if !ours || to == own {
			continue
		}
		if !permitted(part, to, strings.HasSuffix(path, "_test.go")) {
			t.Errorf("%s imports %s: %s may import %v", path, to, part, allowed[part])
		}
		from, ok1 := levels[own]
		low, ok2 := levels[to]
		if part == "broker" && (!ok1 || !ok2) {
			t.Errorf("%s or %s has no level: give it one in arch_test.go", own, to)
		} else if part == "broker" && low >= from {
			t.Errorf("%s (level %d) imports %s (level %d): imports go down", path, from, to, low)
		}
	}
}

// permitted: tests of tracing may build a broker to read a real log.
func permitted(part, to string, test bool) bool {
	if test && part == "tracing" && strings.HasPrefix(to, "broker/") {
		return true
	}
	for _, prefix := range allowed[part] {
		if strings.HasPrefix(to+"/", prefix) || strings.HasPrefix(to, prefix) {
			return true
		}
	}
	return false
}

// TestEveryPackageIsIntroduced: a doc.go says what it is.
func TestEveryPackageIsIntroduced(t *testing.T) {
	for _, top := range []string{"broker", "tracing", "diagnostics", "cmd"} {
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			files, _ := filepath.Glob(filepath.Join(path, "*.go"))
			if len(files) == 0 {
				return nil
			}
			text := ""
			for _, f := range files {
				b, _ := os.ReadFile(f)
				text += string(b)
			}
			base := filepath.Base(path)
			if !strings.Contains(text, "// Package ") && !strings.Contains(text, "// Command "+base) {
				t.Errorf("%s has no package comment", path)
			}
			return nil
		})
	}
}
