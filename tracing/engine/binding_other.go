//go:build !linux || !amd64 || noengine

package engine

// The engine exists for linux/amd64 only. These keep the rest compiling, so that other platforms get ErrPlatform at run time.
type (
	library    struct{}
	connection struct{}
	result     struct{}
)

func openLibrary(string) (*library, error)                    { return nil, ErrPlatform }
func (*library) connect([]string) (*connection, error)        { return nil, ErrPlatform }
func (*connection) close()                                    {}
func (*connection) query(string, string, []param) (r result)  { return }
func (*connection) stream(string, string, []param) (r result) { return }
func (*connection) fetch(result) (r result)                   { return }
func (*connection) cancel(result)                             {}
func (result) bytes() []byte                                  { return nil }
func (result) err() error                                     { return ErrPlatform }
func (result) summary() (s summary)                           { return }
func (result) free()                                          {}
