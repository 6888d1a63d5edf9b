package bundle

import (
	"bytes"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mark is what a bundle of another format begins with.
func mark(content string) []byte {
	b := skippable(content)
	b[0] = 0x5f
	return b
}

func marked(expect, comment, content string, behind func(raw []byte) []byte) recipe {
	return func(t testing.TB) vector {
		v := vector{rule: "F1", expect: expect, comment: comment, raw: append(mark(content), behind(forge().bytes(t))...)}
		if expect == "ok" {
			v.rule = ""
		}
		return v
	}
}

func same(raw []byte) []byte { return raw }

func markRecipes(all map[string]recipe) {
	all["good-marked"] = marked("ok", "the number of format 1 at the beginning", "sluice format 1\n", same)
	all["good-other-frame"] = marked("ok", "a skippable frame that only begins like a mark", "sluice formats", same)
	all["f1-newer"] = marked("unsupported", "format 2, of which nothing else is known", "sluice format 2\nanything", func([]byte) []byte { return []byte("anything") })
	all["f1-newer-cut"] = marked("unsupported", "format 12, with nothing behind", "sluice format 12", func([]byte) []byte { return nil })
	all["f1-zero"] = marked("corrupt", "format 0", "sluice format 0\n", same)
	all["f1-no-number"] = marked("corrupt", "no number", "sluice format \n", same)
}

// A mark is found in all three kinds of object, however the bytes arrive.
func TestMarkIsHeeded(t *testing.T) {
	c, raw := newCodec(t, Limits{}), mark("sluice format 7\n")
	put := (&unpacked{}).put
	for what, decode := range map[string]func() error{
		"bundle": func() error { _, err := c.Decode(t.Context(), bytes.NewReader(raw), put); return err },
		"base":   func() error { _, err := c.DecodeBase(t.Context(), bytes.NewReader(raw), put); return err },
		"part":   func() error { _, err := c.DecodePart(t.Context(), bytes.NewReader(raw), put); return err },
		"byte by byte": func() error {
			_, err := c.Decode(t.Context(), iotest.OneByteReader(bytes.NewReader(raw)), put)
			return err
		},
	} {
		err := decode()
		require.ErrorIs(t, err, ErrUnsupported, what)
		assert.NotErrorIs(t, err, ErrCorrupt, what)
		assert.ErrorContains(t, err, "format 7", what)
	}
}
