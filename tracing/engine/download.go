package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pick chooses how to download: through npm where it is installed, because then all of the machine's npm configuration
// holds (registry, credentials, proxy, certificates); else directly. There is no fall-back from the one to the other: if
// npm is told to refuse something, that is an answer.
func pick() downloader {
	if path, err := exec.LookPath("npm"); err == nil {
		return npm(path)
	}
	return direct(registry())
}

// npm downloads with `npm pack`, which runs no script of the package.
func npm(path string) downloader {
	return func(ctx context.Context, a artifact, part string, progress func(done, total int64)) error {
		dir, err := os.MkdirTemp(filepath.Dir(part), ".npm-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		progress(0, a.bytes)
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, path, "pack", a.name+"@"+a.version, "--ignore-scripts", "--pack-destination", dir)
		cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, &stderr, 5*time.Second
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("npm pack: %w: %s", err, lastLine(stderr.String()))
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("npm pack left %d files", len(files))
		}
		progress(a.bytes, a.bytes)
		return os.Rename(files[0], part)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// registry is npm's registry as the environment names it.
func registry() string {
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry"} {
		if v := os.Getenv(name); v != "" {
			return strings.TrimRight(v, "/")
		}
	}
	return "https://registry.npmjs.org"
}

// A direct download gives up after this many tries in a row that brought nothing, and calls a connection dead that brings
// nothing for stallTimeout.
const (
	downloadTries = 5
	stallTimeout  = 60 * time.Second
)

// direct downloads over HTTP and goes on where an earlier attempt, of this process or another, ended.
func direct(registry string) downloader {
	return func(ctx context.Context, a artifact, part string, progress func(done, total int64)) error {
		url := registry + "/" + a.name + "/-/" + a.file
		pause := 200 * time.Millisecond
		for failures := 0; ; {
			before := size(part)
			err := resume(ctx, url, part, a.bytes, progress)
			if err == nil {
				return nil
			}
			var refused *refusedError
			if ctx.Err() != nil || errors.As(err, &refused) {
				return err
			}
			if failures++; size(part) > before {
				failures, pause = 0, 200*time.Millisecond
			}
			if failures == downloadTries {
				return fmt.Errorf("after %d tries: %w", downloadTries, err)
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
				pause *= 2
			}
		}
	}
}

// refusedError is an answer that another try would get again.
type refusedError struct{ answer string }

func (e *refusedError) Error() string { return "the registry answered " + e.answer }

func size(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// resume brings the rest of the file.
func resume(ctx context.Context, url, part string, total int64, progress func(done, total int64)) error {
	have := size(part)
	if have == total {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.AfterFunc(stallTimeout, cancel)
	defer stall.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if have > 0 && have < total {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	flags := os.O_CREATE | os.O_WRONLY
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
		flags |= os.O_APPEND
	case resp.StatusCode == http.StatusOK:
		flags, have = flags|os.O_TRUNC, 0
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("the registry answered %s", resp.Status)
	default:
		return &refusedError{resp.Status}
	}
	file, err := os.OpenFile(part, flags, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	return pump(file, resp.Body, have, total, func(done, total int64) {
		stall.Reset(stallTimeout)
		progress(done, total)
	})
}

func pump(to io.Writer, from io.Reader, done, total int64, progress func(done, total int64)) error {
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return werr
			}
			done += int64(n)
			if done > total {
				return &refusedError{fmt.Sprintf("more than the %d bytes that the package has", total)}
			}
			progress(done, total)
		}
		if err == io.EOF {
			if done < total {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// openMember finds a file in a .tgz.
func openMember(archive, name string) (member io.Reader, done func(), err error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, nil, err
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	files := tar.NewReader(unzipped)
	for {
		h, err := files.Next()
		if err != nil {
			_ = file.Close()
			return nil, nil, fmt.Errorf("%s in %s: %w", name, filepath.Base(archive), err)
		}
		if h.Name == name && h.Typeflag == tar.TypeReg {
			return files, func() { _ = file.Close() }, nil
		}
	}
}
