package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// smallPackage makes a package with a library of random bytes.
func smallPackage(t *testing.T) (artifact, []byte, []byte) {
	t.Helper()
	lib := make([]byte, 700_000)
	for i := range lib {
		lib[i] = byte(rand.Uint32())
	}
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	files := tar.NewWriter(zipped)
	for name, data := range map[string][]byte{"package/index.js": []byte("x"), "package/lib.so": lib} {
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	archive := b.Bytes()
	sum512, sum256 := sha512.Sum512(archive), sha256.Sum256(lib)
	return artifact{
		name: "@x/lib", version: "1.2.3", file: "lib-1.2.3.tgz", sha512: base64.StdEncoding.EncodeToString(sum512[:]), bytes: int64(len(archive)),
		member: "package/lib.so", memberSHA256: hex.EncodeToString(sum256[:]), memberBytes: int64(len(lib)),
	}, archive, lib
}

// registryOf serves the package; fault, if not nil, may answer a request itself.
func registryOf(t *testing.T, archive []byte, fault func(n int64, w http.ResponseWriter, r *http.Request) bool) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if r.URL.Path != "/@x/lib/-/lib-1.2.3.tgz" {
			http.NotFound(w, r)
			return
		}
		if fault == nil || !fault(n, w, r) {
			http.ServeContent(w, r, "x.tgz", time.Time{}, bytes.NewReader(archive))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func (f fetcher) test(t *testing.T, lib []byte) {
	t.Helper()
	path, err := f.fetch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, lib) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.dir, "*")); len(left) != 2 { // the library and the lock
		t.Errorf("left behind: %q", left)
	}
}

func quiet(int64, int64) {}

func TestFetch(t *testing.T) {
	a, archive, lib := smallPackage(t)
	url, requests := registryOf(t, archive, nil)
	var last int64
	f := fetcher{a, t.TempDir(), func(done, total int64) {
		if last = done; total != a.bytes {
			t.Errorf("total %d", total)
		}
	}, direct(url)}
	f.test(t, lib)
	f.test(t, lib)
	if n := requests.Load(); n != 1 || last != a.bytes {
		t.Errorf("%d downloads, %d of %d bytes", n, last, a.bytes)
	}
}

// A connection that breaks is taken up where it broke, until the whole is there.
func TestFetchResumes(t *testing.T) {
	a, archive, lib := smallPackage(t)
	var served atomic.Int64
	url, requests := registryOf(t, archive, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		c := &cutWriter{ResponseWriter: w, room: 100_000}
		http.ServeContent(c, r, "x.tgz", time.Time{}, bytes.NewReader(archive))
		served.Add(int64(100_000 - c.room))
		if c.room == 0 {
			panic(http.ErrAbortHandler)
		}
		return true
	})
	fetcher{a, t.TempDir(), quiet, direct(url)}.test(t, lib)
	if n := requests.Load(); n != a.bytes/100_000+1 {
		t.Errorf("%d requests for %d bytes", n, a.bytes)
	}
	if served.Load() != a.bytes {
		t.Errorf("%d bytes for %d: something was sent twice", served.Load(), a.bytes)
	}
}

// cutWriter lets some bytes of a body pass.
type cutWriter struct {
	http.ResponseWriter
	room int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.room)])
	if c.room -= n; c.room == 0 {
		http.NewResponseController(c.ResponseWriter).Flush()
		err = io.ErrShortWrite
	}
	return n, err
}

// Another process's part is taken up too; a registry without ranges is started anew; a wrong part is not kept.
func TestFetchOfAnOldPart(t *testing.T) {
	a, archive, lib := smallPackage(t)
	for name, c := range map[string]struct {
		part   []byte
		ranges bool
		tries  int64
	}{
		"good part":            {archive[:300_000], true, 1},
		"good part, no ranges": {archive[:300_000], false, 1},
		"whole part":           {archive, true, 0},
		"too long a part":      {append(append([]byte{}, archive...), 1, 2, 3), true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := registryOf(t, archive, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
				if !c.ranges {
					_, _ = w.Write(archive)
				}
				return !c.ranges
			})
			f := fetcher{a, t.TempDir(), quiet, direct(url)}
			if err := os.WriteFile(filepath.Join(f.dir, a.file+".part"), c.part, 0o644); err != nil {
				t.Fatal(err)
			}
			f.test(t, lib)
			if n := requests.Load(); n != c.tries {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestFetchTakesAPackageThatIsThere(t *testing.T) {
	a, archive, lib := smallPackage(t)
	f := fetcher{a, t.TempDir(), quiet, func(context.Context, artifact, string, func(int64, int64)) error { return errors.New("no network") }}
	if err := os.WriteFile(filepath.Join(f.dir, a.file), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	f.test(t, lib)
}

// Nothing wrong ever gets the library's name, and the error says what is missing and what that means.
func TestFetchRefusesWhatIsWrong(t *testing.T) {
	a, archive, _ := smallPackage(t)
	wrong := append([]byte{}, archive...)
	wrong[len(wrong)/2] ^= 1
	member := a
	member.memberSHA256 = "00"
	noMember := a
	noMember.member = "package/other.so"
	for name, c := range map[string]struct {
		artifact artifact
		archive  []byte
		status   int
		digest   bool
	}{
		"wrong package": {a, wrong, 200, true}, "wrong library": {member, archive, 200, true}, "no library": {noMember, archive, 200, false},
		"not found": {a, nil, 404, false}, "forbidden": {a, nil, 403, false}, "too long": {a, append(append([]byte{}, archive...), 1), 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := registryOf(t, c.archive, func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
				if c.status != 200 {
					w.WriteHeader(c.status)
				}
				return c.status != 200
			})
			f := fetcher{c.artifact, t.TempDir(), quiet, direct(url)}
			_, err := f.fetch(context.Background())
			var fetch *FetchError
			if !errors.As(err, &fetch) {
				t.Fatalf("%v", err)
			}
			var digest *DigestError
			if errors.As(err, &digest) != c.digest {
				t.Errorf("%v", err)
			}
			if c.status != 200 && requests.Load() != 1 {
				t.Errorf("%d requests of what is refused", requests.Load())
			}
			if _, err := os.Stat(filepath.Join(f.dir, "libchdb-1.2.3.so")); err == nil {
				t.Error("a library is there")
			}
		})
	}
}

func TestFetchGivesUpWhenTold(t *testing.T) {
	a, _, _ := smallPackage(t)
	began := make(chan struct{}, 10)
	url, _ := registryOf(t, nil, func(_ int64, _ http.ResponseWriter, r *http.Request) bool {
		began <- struct{}{}
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-began; cancel() }()
	if _, err := (fetcher{a, t.TempDir(), quiet, direct(url)}).fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// Many at once: one downloads, the others wait for it.
func TestFetchOfManyAtOnce(t *testing.T) {
	a, archive, _ := smallPackage(t)
	url, requests := registryOf(t, archive, nil)
	dir := t.TempDir()
	var all sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			path, err := fetcher{a, dir, quiet, direct(url)}.fetch(context.Background())
			if err == nil && size(path) != a.memberBytes {
				err = fmt.Errorf("%d bytes", size(path))
			}
			errs <- err
		})
	}
	all.Wait()
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d downloads", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	unlock, err := lock(ctx, filepath.Join(dir, "fetch.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	cancel()
	if _, err := lock(ctx, filepath.Join(dir, "fetch.lock")); !errors.Is(err, context.Canceled) {
		t.Errorf("lock of a cancelled context: %v", err)
	}
}

func TestNPMIsAsked(t *testing.T) {
	a, archive, lib := smallPackage(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "archive"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1 $2 $3 $4\" = 'pack @x/lib@1.2.3 --ignore-scripts --pack-destination' ] || { echo \"npm error: $*\" >&2; exit 3; }\ncp %s/archive \"$5/x.tgz\"\n", dir)
	fake := filepath.Join(dir, "npm")
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	fetcher{a, t.TempDir(), quiet, npm(fake)}.test(t, lib)
	a.version = "9"
	_, err := fetcher{a, t.TempDir(), quiet, npm(fake)}.fetch(context.Background())
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("npm error: pack @x/lib@9")) {
		t.Fatalf("%v", err)
	}
}

func TestRegistryIsTheConfiguredOne(t *testing.T) {
	t.Setenv("NPM_CONFIG_REGISTRY", "")
	t.Setenv("npm_config_registry", "")
	if got := registry(); got != "https://registry.npmjs.org" {
		t.Error(got)
	}
	t.Setenv("npm_config_registry", "http://localhost:4873/")
	if got := registry(); got != "http://localhost:4873" {
		t.Error(got)
	}
}
