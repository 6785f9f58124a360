package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Limits of the page's files: they are kept in memory, compressed too.
const (
	staticBytesMax = 64 << 20
	indexName      = "index.html"
	assets         = "assets/" // whose names hold a hash of what is in them
)

// static is the built page.
type static struct{ files map[string]*file }

type file struct {
	name, etag, mediaType string
	plain, zipped         []byte
}

func newStatic(from fs.FS) (*static, error) {
	s, total := &static{files: map[string]*file{}}, 0
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		if total += len(data); total > staticBytesMax {
			return fmt.Errorf("the page's files are larger than %d bytes", staticBytesMax)
		}
		s.files[name], err = newFile(name, data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if s.files[indexName] == nil {
		return nil, fmt.Errorf("console: the page has no %s", indexName)
	}
	return s, nil
}

func newFile(name string, data []byte) (*file, error) {
	sum := sha256.Sum256(data)
	f := &file{name: name, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: data, mediaType: mime.TypeByExtension(path.Ext(name))}
	if f.mediaType == "" {
		f.mediaType = "application/octet-stream"
	}
	if !strings.HasPrefix(f.mediaType, "text/") && !strings.Contains(f.mediaType, "javascript") && !strings.Contains(f.mediaType, "svg") && !strings.Contains(f.mediaType, "json") {
		return f, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = z.Write(data); err == nil {
		err = z.Close()
	}
	if b.Len() < len(data) {
		f.zipped = b.Bytes()
	}
	return f, err
}

// page serves a file of the page, or index.html for an address that the page itself understands.
func (s *Server) page(c echo.Context) error {
	name := strings.TrimPrefix(path.Clean("/"+c.Request().URL.Path), "/")
	if s.static == nil {
		return notFound("no such page", name)
	}
	f := s.static.files[name]
	switch {
	case f != nil:
	case strings.HasPrefix(name, assets):
		return notFound("no such file", name) // a page for a script would only confuse
	default:
		f = s.static.files[indexName]
	}
	h := c.Response().Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(f.name, assets) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.plain
	if f.zipped != nil && acceptsGzip(c.Request()) {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", strings.TrimSuffix(f.etag, `"`)+`-gz"`)
		body = f.zipped
	}
	http.ServeContent(c.Response(), c.Request(), f.name, time.Time{}, bytes.NewReader(body))
	return nil
}
