package server

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"
	"github.com/pierrec/lz4/v4"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// Limits of the display: a body may be compressed a thousandfold.
const (
	bodyBytesMax = 4 << 20
	hexBytesMax  = 4 << 10
)

// messageBody shows a body. It reads the log: no offset moves by it.
func (s *Server) messageBody(c echo.Context) error {
	v, err := s.wanted(c)
	if err != nil {
		return err
	}
	return s.json(c, show(v))
}

// messageRaw gives the body as it is stored, always as a file: what a producer sent is never a page of this origin.
func (s *Server) messageRaw(c echo.Context) error {
	v, err := s.wanted(c)
	if err != nil {
		return err
	}
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-') {
			return r
		}
		return '_'
	}, offsetID(v))
	h := c.Response().Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.bin"`)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", fmt.Sprint(v.BodySize()))
	c.Response().WriteHeader(http.StatusOK)
	_, err = c.Response().Write(v.Body())
	return err
}

// wanted is the stored message that a request names.
func (s *Server) wanted(c echo.Context) (message.View, error) {
	id, err := pathParam(c, "id")
	if err != nil {
		return nil, err
	}
	p := paramsOf(c)
	position := p.number("position", -1)
	if p.err != nil {
		return nil, p.err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestTimeout)
	defer cancel()
	if position >= 0 {
		if v, ok := s.at(ctx, id, position); ok {
			return v, nil
		}
		return nil, gone(id, &trail.Life{})
	}
	if v, ok := s.stored(ctx, id, nil); ok { // most are found without the trail
		return v, nil
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return nil, err
	}
	defer done()
	life := s.recorded(ctx, id)
	if v, ok := s.stored(ctx, id, life.Messages); ok {
		return v, nil
	}
	return nil, gone(id, &life)
}

// show makes a body readable.
func show(v message.View) api.Body {
	b := api.Body{StoredBytes: v.BodySize(), Properties: map[string]string{}}
	for name, value := range message.PropertyMap(v.Properties()) {
		b.Properties[strings.ToValidUTF8(name, "?")] = strings.ToValidUTF8(value, "?")
	}
	plain := v.Body()
	if v.SysFlag()&message.FlagCompressed != 0 {
		var err error
		if b.Compression, plain, b.Truncated, err = inflate(v); err != nil {
			b.Error = clip(err.Error())
		}
	}
	if len(plain) > bodyBytesMax {
		plain, b.Truncated = plain[:bodyBytesMax], true
	}
	b.Bytes = len(plain)
	b.Hex = hex.EncodeToString(plain[:min(len(plain), hexBytesMax)])
	b.Kind, b.Text = kindOf(plain, b.Truncated)
	return b
}

// kindOf says how a body can be shown.
func kindOf(plain []byte, cut bool) (kind, text string) {
	if cut { // perhaps inside a letter
		for n := 0; n < utf8.UTFMax && len(plain) > 0 && !utf8.Valid(plain[max(0, len(plain)-utf8.UTFMax):]); n++ {
			plain = plain[:len(plain)-1]
		}
	}
	switch {
	case !readable(plain):
		return "binary", ""
	case !cut && len(plain) > 0 && json.Valid(plain):
		return "json", string(plain)
	}
	return "text", string(plain)
}

func readable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// inflate decompresses a body up to the display's limit. What was read before an error is shown too.
func inflate(v message.View) (kind string, plain []byte, cut bool, err error) {
	in := bytes.NewReader(v.Body())
	var r io.Reader
	switch v.SysFlag() & message.FlagCompressionMask {
	case 0x100:
		kind, r = "lz4", lz4.NewReader(in)
	case 0x200:
		kind = "zstd"
		d, derr := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if derr != nil {
			return kind, nil, false, derr
		}
		defer d.Close()
		r = d
	default:
		kind = "zlib"
		z, zerr := zlib.NewReader(in)
		if zerr != nil {
			return kind, nil, false, zerr
		}
		r = z
	}
	plain, err = io.ReadAll(io.LimitReader(r, bodyBytesMax+1))
	if len(plain) > bodyBytesMax {
		return kind, plain[:bodyBytesMax], true, nil
	}
	return kind, plain, false, err
}
