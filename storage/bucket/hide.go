package bucket

import "regexp"

// query finds the query of a URL in a text; signed URLs and shared access
// signatures carry credentials there.
var query = regexp.MustCompile(`(https?://[^\s"'?]*\?)[^\s"']*`)

func hideQueries(text string) string { return query.ReplaceAllString(text, "${1}...") }

// hidden is an error whose text had something to hide.
type hidden struct {
	err  error
	text string
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.err }

func hide(err error) error {
	text := err.Error()
	if shown := hideQueries(text); shown != text {
		return &hidden{err: err, text: shown}
	}
	return err
}
