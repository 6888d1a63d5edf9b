package gcs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func open(t *testing.T, endpoint string) *store { return openWith(t, Driver(), endpoint) }

func openWith(t *testing.T, driver storage.Driver, endpoint string) *store {
	s, err := storage.OpenConfig(t.Context(), storage.Config{
		Scheme: "gs", Bucket: testBucket, Prefix: "a/prefix",
		Params: url.Values{"endpoint": {endpoint}, "anonymous": {"true"}},
	}, driver)
	require.NoError(t, err)
	return s.(*store)
}

func create(ctx context.Context, s storage.Creator, key, content string) error {
	return s.Create(ctx, key, strings.NewReader(content), int64(len(content)))
}

func TestRequests(t *testing.T) {
	svc, endpoint := newService(t)
	s := open(t, endpoint)
	tag := ""
	cases := []struct {
		name string
		do   func() error
		want []string // method and, where it matters, a parameter
	}{
		{"create", func() error { return create(t.Context(), s, "k", "content") }, []string{"POST ifGenerationMatch=0"}},
		{"open", func() error {
			r, err := s.Open(t.Context(), "k", 0, -1)
			require.NoError(t, err)
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		}, []string{"GET alt=media"}},
		{"put", func() (err error) { tag, err = s.Put(t.Context(), "hint", []byte("1"), ""); return }, []string{"POST uploadType=multipart"}},
		{"put again", func() error { _, err := s.Put(t.Context(), "hint", []byte("2"), tag); return err }, []string{"POST ifGenerationMatch=" + "TAG"}},
		{"get", func() error { _, _, err := s.Get(t.Context(), "hint"); return err }, []string{"GET alt=media"}},
		{"delete", func() error { return s.Delete(t.Context(), "hint") }, []string{"DELETE "}},
		{"delete of nothing", func() error { return s.Delete(t.Context(), "hint") }, []string{"DELETE "}},
		{"list", func() error {
			for _, err := range s.List(t.Context(), "", "j") {
				require.NoError(t, err)
			}
			return nil
		}, []string{"GET startOffset=a%2Fprefix%2Fj"}},
	}
	for _, c := range cases {
		svc.take()
		require.NoError(t, c.do(), c.name)
		got := svc.take()
		require.Len(t, got, len(c.want), c.name)
		for i, r := range got {
			method, parameter, _ := strings.Cut(strings.ReplaceAll(c.want[i], "TAG", tag), " ")
			assert.Equal(t, method, r.Method, c.name)
			assert.Contains(t, r.URL.RawQuery, parameter, c.name)
		}
	}
}

// TestForeignAnswer: what answers, with status 200, is not the service.
func TestForeignAnswer(t *testing.T) {
	for _, body := range []string{"{}", "<html><body>We will be back soon.</body></html>"} {
		svc, endpoint := newService(t)
		svc.before = func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, body)
			return true
		}
		s := open(t, endpoint)
		require.Error(t, create(t.Context(), s, "k", "content"), body)
		require.Error(t, s.Create(t.Context(), "large", bytes.NewReader(make([]byte, 9<<20)), 9<<20), body)
		_, err := s.Put(t.Context(), "hint", []byte("1"), "")
		require.Error(t, err, body)
		if body == "{}" {
			require.ErrorIs(t, create(t.Context(), s, "k", "content"), storage.ErrUnavailable)
		}
	}
}

func TestOverwrite(t *testing.T) {
	_, endpoint := newService(t)
	s := open(t, endpoint)
	_, _, err := s.Get(t.Context(), "head")
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = s.Put(t.Context(), "head", []byte("none"), "12345")
	require.ErrorIs(t, err, storage.ErrChanged, "a tag never makes an object")

	first, err := s.Put(t.Context(), "head", []byte("one"), "")
	require.NoError(t, err)
	b, tag, err := s.Get(t.Context(), "head")
	require.NoError(t, err)
	assert.Equal(t, "one", string(b))
	assert.Equal(t, first, tag)

	second, err := s.Put(t.Context(), "head", []byte("two"), first)
	require.NoError(t, err)
	assert.NotEqual(t, first, second)
	_, err = s.Put(t.Context(), "head", []byte("three"), first)
	require.ErrorIs(t, err, storage.ErrChanged)
	b, _, err = s.Get(t.Context(), "head")
	require.NoError(t, err)
	assert.Equal(t, "two", string(b))

	_, err = s.Put(t.Context(), "head", nil, `"an etag"`)
	require.ErrorContains(t, err, "the tag is none of this service")
	_, err = s.Put(t.Context(), "big", make([]byte, storage.MaxSmall+1), "")
	require.NoError(t, err)
	_, _, err = s.Get(t.Context(), "big")
	require.ErrorContains(t, err, "more than")
	_, err = s.Put(t.Context(), "../head", nil, "")
	require.ErrorIs(t, err, storage.ErrInvalidKey)
	_, _, err = s.Get(t.Context(), "/head")
	require.ErrorIs(t, err, storage.ErrInvalidKey)
	_, _, err = s.Get(t.Context(), strings.Repeat("k", storage.MaxKey))
	require.ErrorIs(t, err, storage.ErrInvalidKey, "too long behind the prefix")
}

// TestErrors sends what the service may answer through every operation.
func TestErrors(t *testing.T) {
	cases := map[string]struct {
		status          int
		message, reason string
		want            error // nil: none of the sentinels
	}{
		"no object":   {404, "No such object: pond/k", "notFound", storage.ErrNotFound},
		"no bucket":   {404, "The specified bucket does not exist.", "notFound", storage.ErrNoBucket},
		"denied":      {403, "who does not have storage.objects.get access", "forbidden", storage.ErrDenied},
		"anonymous":   {401, "Anonymous caller", "required", storage.ErrDenied},
		"quota":       {403, "slow down", "rateLimitExceeded", storage.ErrUnavailable},
		"taken":       {412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet", storage.ErrExists},
		"conflict":    {409, "try again", "conflict", storage.ErrUnavailable},
		"bad request": {400, "no", "invalid", nil},
	}
	classes := []error{storage.ErrNotFound, storage.ErrNoBucket, storage.ErrDenied, storage.ErrUnavailable, storage.ErrExists, storage.ErrChanged}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			svc.before = func(w http.ResponseWriter, _ *http.Request) bool {
				refuse(w, c.status, c.message, c.reason)
				return true
			}
			s := open(t, endpoint)
			for op, err := range everyOperation(t, s) {
				want := c.want
				if want == storage.ErrNotFound && op != "get" && op != "open" {
					continue // no answer to these
				}
				require.Error(t, err, op)
				for _, class := range classes {
					assert.Equal(t, class == want, errors.Is(err, class), "%s: is %q: %v", op, class, err)
				}
				named := want == storage.ErrNoBucket || want == storage.ErrDenied
				assert.Equal(t, named, strings.Contains(err.Error(), `: bucket "`+testBucket+`": `), "%s: %v", op, err)
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		for op, err := range everyOperation(t, open(t, "http://"+l.Addr().String())) {
			assert.ErrorIs(t, err, storage.ErrUnavailable, op)
		}
	})
}

func everyOperation(t *testing.T, s *store) map[string]error {
	_, _, get := s.Get(t.Context(), "k")
	_, put := s.Put(t.Context(), "k", nil, "")
	r, open := s.Open(t.Context(), "k", 0, -1)
	if open == nil {
		require.NoError(t, r.Close())
	}
	var list error
	for _, err := range s.List(t.Context(), "", "") {
		list = err
	}
	return map[string]error{"create": create(t.Context(), s, "k", "x"), "get": get, "put": put, "open": open, "list": list}
}

// TestBrokenSource: what the source did not yield completely is not stored,
// whether it fits one request or needs an upload session.
func TestBrokenSource(t *testing.T) {
	gone := errors.New("disk gone")
	for name, n := range map[string]int{"small": 100, "large": 9 << 20} {
		t.Run(name, func(t *testing.T) {
			_, endpoint := newService(t)
			s := open(t, endpoint)
			err := s.Create(t.Context(), "k", io.MultiReader(bytes.NewReader(make([]byte, n)), broken{gone}), -1)
			require.ErrorIs(t, err, gone)
			_, err = s.Open(t.Context(), "k", 0, -1)
			require.ErrorIs(t, err, storage.ErrNotFound)
		})
	}
}

func (b broken) Read([]byte) (int, error) { return 0, b.error }
