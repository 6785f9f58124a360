package engine

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The engine's library is a file of an npm package of the chDB project. One exact version is known to work (see DESIGN.md
// for how to move to another), and both the package and the file in it are checked by digest.
const (
	packageName    = "@chdb/lib-linux-x64-gnu"
	packageVersion = "26.5.3"
	packageFile    = "lib-linux-x64-gnu-" + packageVersion + ".tgz"
	packageSHA512  = "fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ=="
	packageBytes   = 166572008
	libraryName    = "package/libchdb.so"
	librarySHA256  = "4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc"
	libraryBytes   = 559044752
)

// ErrPlatform is returned where the embedded engine does not exist.
var ErrPlatform = fmt.Errorf("the embedded ClickHouse engine exists for linux/amd64 with glibc only, this is %s/%s; name a ClickHouse server instead, or run without a trail store",
	runtime.GOOS, runtime.GOARCH)

// FetchError says what could not be had.
type FetchError struct {
	What string
	Err  error
}

func (e *FetchError) Error() string {
	return fmt.Sprintf("the embedded ClickHouse engine (%s@%s) could not be had: %s: %v. The broker works without it, but records no trail; name a ClickHouse server to have one",
		packageName, packageVersion, e.What, e.Err)
}

func (e *FetchError) Unwrap() error { return e.Err }

// DigestError is a file that is not what it should be.
type DigestError struct{ File, Want, Got string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s has digest %s, not %s", e.File, e.Got, e.Want)
}

// artifact is a library inside a package: what a fetcher brings. Tests bring a small one.
type artifact struct {
	name, version, file, sha512 string
	bytes                       int64
	member, memberSHA256        string
	memberBytes                 int64
}

var theLibrary = artifact{packageName, packageVersion, packageFile, packageSHA512, packageBytes, libraryName, librarySHA256, libraryBytes}

// DefaultCacheDir is where the library is kept: $CONTRAIL_CACHE, or the user's cache folder.
func DefaultCacheDir() (string, error) {
	if dir := os.Getenv("CONTRAIL_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "contrail"), nil
}

// Fetch gives the path of the engine's library, and brings it into cacheDir first if it is not there (cacheDir "": see
// DefaultCacheDir). progress, if not nil, is told of bytes of the download. Several processes may fetch at once: one does,
// the others wait. A machine without a registry can be given the package's file: it is taken from cacheDir if it is there.
func Fetch(ctx context.Context, cacheDir string, progress func(done, total int64)) (libPath string, err error) {
	if err := supported(); err != nil {
		return "", err
	}
	if cacheDir == "" {
		if cacheDir, err = DefaultCacheDir(); err != nil {
			return "", &FetchError{"a cache folder", err}
		}
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	return fetcher{artifact: theLibrary, dir: cacheDir, progress: progress, download: pick()}.fetch(ctx)
}

func supported() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return ErrPlatform
	}
	if _, err := os.Stat("/lib64/ld-linux-x86-64.so.2"); err != nil {
		return ErrPlatform // musl
	}
	return nil
}

// fetcher brings one artifact into one folder.
type fetcher struct {
	artifact
	dir      string
	progress func(done, total int64)
	download downloader
}

// downloader brings the package's file to path; its digest is checked by the caller.
type downloader func(ctx context.Context, a artifact, path string, progress func(done, total int64)) error

func (f fetcher) fetch(ctx context.Context) (string, error) {
	lib := filepath.Join(f.dir, "libchdb-"+f.version+".so")
	if f.there(lib) {
		return lib, nil
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return "", &FetchError{"a cache folder", err}
	}
	unlock, err := lock(ctx, filepath.Join(f.dir, "fetch.lock"))
	if err != nil {
		return "", &FetchError{"the lock of the cache folder", err}
	}
	defer unlock()
	if f.there(lib) {
		return lib, nil
	}
	archive := filepath.Join(f.dir, f.file)
	if err := f.archive(ctx, archive); err != nil {
		return "", err
	}
	if err := f.extract(archive, lib); err != nil {
		return "", &FetchError{"the library in the package", err}
	}
	_ = os.Remove(archive)
	return lib, nil
}

// there reports whether the library is in the cache. A file gets its final name only after its digest was checked, so its
// size is enough here.
func (f fetcher) there(lib string) bool {
	info, err := os.Stat(lib)
	return err == nil && info.Size() == f.memberBytes
}

// archive makes sure that a package's file with the right digest is at path.
func (f fetcher) archive(ctx context.Context, path string) error {
	if err := f.checkArchive(path); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(path)
	}
	part := path + ".part"
	if err := f.download(ctx, f.artifact, part, f.progress); err != nil {
		return &FetchError{"the package's file", err}
	}
	if err := f.checkArchive(part); err != nil {
		_ = os.Remove(part) // never resume a wrong file
		return &FetchError{"the package's file", err}
	}
	return os.Rename(part, path)
}

func (f fetcher) checkArchive(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != f.sha512 {
		return &DigestError{filepath.Base(path), f.sha512, got}
	}
	return nil
}

// extract takes the library out of the archive: to a temporary name, checked and synced, then renamed.
func (f fetcher) extract(archive, lib string) error {
	member, done, err := openMember(archive, f.member)
	if err != nil {
		return err
	}
	defer done()
	temp, err := os.CreateTemp(f.dir, ".extract-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(temp, sum), member); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.memberSHA256 {
		return &DigestError{f.member, f.memberSHA256, got}
	}
	if err := temp.Chmod(0o755); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), lib)
}

// lockPause is how often a waiting process looks whether the lock is free: the kernel tells only who blocks, and a blocked
// one could not be cancelled.
const lockPause = 200 * time.Millisecond

// lock takes an exclusive lock on a file, which ends with the process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = file.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, context.Cause(ctx)
		case <-time.After(lockPause):
		}
	}
}
