package server

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/labstack/echo/v4"
)

// gzipFrom is the size from which an answer is worth compressing.
const gzipFrom = 4 << 10

// json answers with a value. Lists that are nil are empty lists, as the API's document says.
func (s *Server) json(c echo.Context, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	return s.blob(c, "application/json", body)
}

func marshal(v any) ([]byte, error) {
	return json.Marshal(filled(reflect.ValueOf(v)).Interface())
}

func (s *Server) blob(c echo.Context, mediaType string, body []byte) error {
	h := c.Response().Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	if len(body) < gzipFrom || !acceptsGzip(c.Request()) {
		c.Response().WriteHeader(http.StatusOK)
		_, err := c.Response().Write(body)
		return err
	}
	h.Set("Content-Encoding", "gzip")
	c.Response().WriteHeader(http.StatusOK)
	z, err := gzip.NewWriterLevel(c.Response(), gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := z.Write(body); err != nil {
		return err
	}
	return z.Close()
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}

// filled gives a copy of v in which nil slices and maps are empty ones. It copies, because the broker's memory may be in it.
func filled(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(filled(v.Elem()))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(filled(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(filled(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return reflect.MakeMap(v.Type())
		}
	}
	return v
}
