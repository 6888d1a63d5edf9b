package s3

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func TestOverwrite(t *testing.T) {
	_, endpoint := newService(t)
	s := open(t, endpoint)
	_, _, err := s.Get(t.Context(), "head")
	require.ErrorIs(t, err, storage.ErrNotFound)
	_, err = s.Put(t.Context(), "head", []byte("none"), `"0123456789abcdef0123456789abcdef"`)
	require.ErrorIs(t, err, storage.ErrChanged, "a tag never makes an object")

	first, err := s.Put(t.Context(), "head", []byte("one"), "")
	require.NoError(t, err)
	require.NotEmpty(t, first)
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

	_, err = s.Put(t.Context(), "big", make([]byte, storage.MaxSmall+1), "")
	require.NoError(t, err)
	_, _, err = s.Get(t.Context(), "big")
	require.ErrorContains(t, err, "more than "+strconv.Itoa(storage.MaxSmall))
	_, err = s.Put(t.Context(), "../head", nil, "")
	require.ErrorIs(t, err, storage.ErrInvalidKey)
	_, _, err = s.Get(t.Context(), "/head")
	require.ErrorIs(t, err, storage.ErrInvalidKey)
	require.ErrorIs(t, s.Delete(t.Context(), "a//b"), storage.ErrInvalidKey)
	require.ErrorIs(t, create(t.Context(), s, "", nil), storage.ErrInvalidKey)
	require.ErrorIs(t, create(t.Context(), s, strings.Repeat("k", storage.MaxKey), nil), storage.ErrInvalidKey, "too long behind the prefix")
}

// TestLargeRace: of many creators of one large key one wins, and the rest
// learn that they did not.
func TestLargeRace(t *testing.T) {
	_, endpoint := newService(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var winners []byte
	for i := range byte(4) {
		wg.Go(func() {
			s := open(t, endpoint) // as another process would
			err := create(t.Context(), s, "large", bytes.Repeat([]byte{i}, testPart+100))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, i)
				return
			}
			assert.ErrorIs(t, err, storage.ErrExists)
		})
	}
	wg.Wait()
	require.Len(t, winners, 1)
	got := read(t, open(t, endpoint), "large")
	assert.True(t, bytes.Equal(bytes.Repeat(winners, testPart+100), got))
}

// TestErrors sends what the service may answer through every operation.
func TestErrors(t *testing.T) {
	replies := map[string]struct {
		status int
		code   string
		want   error // nil: none of the sentinels
	}{
		"no key":            {404, "NoSuchKey", storage.ErrNotFound},
		"no bucket":         {404, "NoSuchBucket", storage.ErrNoBucket},
		"denied":            {403, "AccessDenied", storage.ErrDenied},
		"bad signature":     {403, "SignatureDoesNotMatch", storage.ErrDenied},
		"unknown key id":    {403, "InvalidAccessKeyId", storage.ErrDenied},
		"expired":           {400, "ExpiredToken", storage.ErrDenied},
		"other 403":         {403, "SomethingNew", storage.ErrDenied},
		"another's 404":     {404, "XAdminUserNotFound", storage.ErrDenied},
		"region":            {301, "PermanentRedirect", nil},
		"conflict":          {409, "ConditionalRequestConflict", storage.ErrUnavailable},
		"aborted":           {409, "OperationAborted", storage.ErrUnavailable},
		"taken":             {412, "PreconditionFailed", storage.ErrExists},
		"too many":          {429, "TooManyRequests", storage.ErrUnavailable},
		"gateway":           {502, "", storage.ErrUnavailable},
		"not implemented":   {501, "NotImplemented", nil},
		"malformed request": {400, "InvalidArgument", nil},
	}
	classes := []error{storage.ErrNotFound, storage.ErrNoBucket, storage.ErrDenied, storage.ErrUnavailable, storage.ErrExists, storage.ErrChanged}
	for name, c := range replies {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			svc.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool { reply(w, c.status, c.code); return true }
			s := open(t, endpoint)
			for op, err := range everyOperation(t, s) {
				want := c.want
				if op == "delete" && want == storage.ErrNotFound {
					require.NoError(t, err, op)
					continue
				}
				require.Error(t, err, op)
				for _, class := range classes {
					assert.Equal(t, class == want, errors.Is(err, class), "%s: is %q: %v", op, class, err)
				}
				assert.NotContains(t, err.Error(), "hunter2")
				if c.want == storage.ErrDenied || c.want == storage.ErrNoBucket {
					assert.Equal(t, 1, strings.Count(err.Error(), `bucket "`+testBucket+`"`), "%s: %v", op, err)
				}
			}
		})
	}
	t.Run("unreachable", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		s := open(t, "http://"+l.Addr().String())
		for op, err := range everyOperation(t, s) {
			assert.ErrorIs(t, err, storage.ErrUnavailable, op)
		}
	})
}

func everyOperation(t *testing.T, s *store) map[string]error {
	_, _, get := s.Get(t.Context(), "k")
	_, put := s.Put(t.Context(), "k", nil, "")
	return map[string]error{
		"create": create(t.Context(), s, "k", []byte("x")),
		"get":    get,
		"put":    put,
		"delete": s.Delete(t.Context(), "k"),
	}
}

// TestReadErrors does the same for what goes through gocloud.
func TestReadErrors(t *testing.T) {
	cases := map[string]struct {
		status int
		code   string
		want   error
	}{
		"no key":    {404, "NoSuchKey", storage.ErrNotFound},
		"no bucket": {404, "NoSuchBucket", storage.ErrNoBucket},
		"denied":    {403, "InvalidAccessKeyId", storage.ErrDenied},
		"too many":  {429, "", storage.ErrUnavailable},
		"no user":   {404, "XAdminUserNotFound", storage.ErrDenied},
		"region":    {301, "PermanentRedirect", storage.ErrInvalidConfig},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			svc.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool { reply(w, c.status, c.code); return true }
			s := open(t, endpoint)
			_, err := s.Open(t.Context(), "k", 0, -1)
			require.ErrorIs(t, err, c.want)
			named := func(err error) {
				t.Helper()
				is := c.want == storage.ErrNoBucket || c.want == storage.ErrDenied
				require.Equal(t, is, strings.Contains(err.Error(), `: bucket "`+testBucket+`": `), err)
			}
			named(err)
			for _, err := range s.List(t.Context(), "", "") {
				require.Error(t, err)
				if c.want == storage.ErrNotFound { // which is no answer to a listing
					require.NoError(t, storage.Class(err))
					continue
				}
				require.ErrorIs(t, err, c.want)
				named(err)
			}
		})
	}
}

func TestListStartsAfter(t *testing.T) {
	svc, endpoint := newService(t)
	s := open(t, endpoint)
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, create(t.Context(), s, key, nil))
	}
	var query string
	svc.before = func(_ http.ResponseWriter, r *http.Request, op string) bool {
		query = r.URL.Query().Get("start-after")
		return false
	}
	var got []string
	for info, err := range s.List(t.Context(), "", "a") {
		require.NoError(t, err)
		got = append(got, info.Key)
	}
	assert.Equal(t, []string{"b", "c"}, got)
	assert.Equal(t, "a/prefix/a", query)
}

// inMemory is a Resident that must not be read in any other way.
type inMemory struct {
	b     []byte
	asked int
}

func (*inMemory) Read([]byte) (int, error) { return 0, errors.New("it was read, and copied") }

func (m *inMemory) Resident() *io.SectionReader {
	m.asked++
	if m.b == nil {
		return nil
	}
	return io.NewSectionReader(bytes.NewReader(m.b), 0, int64(len(m.b)))
}

// TestResident: what is in memory is sent from there, in one request; a large
// object, or one that is not in memory after all, is read.
func TestResident(t *testing.T) {
	svc, endpoint := newService(t)
	s := open(t, endpoint)
	content := pattern(testPart - 1)
	require.NoError(t, s.Create(t.Context(), "full", &inMemory{b: content}, int64(len(content))))
	require.NoError(t, s.Create(t.Context(), "empty", &inMemory{b: []byte{}}, 0))
	assert.Equal(t, []string{"PutObject", "PutObject"}, svc.ops())
	for key, want := range map[string][]byte{"full": content, "empty": {}} {
		assert.True(t, bytes.Equal(want, read(t, s, key)), key)
	}
	require.ErrorIs(t, s.Create(t.Context(), "full", &inMemory{b: content}, int64(len(content))), storage.ErrExists)
	for _, wrong := range []int64{0, int64(len(content)) - 1} {
		require.ErrorIs(t, s.Create(t.Context(), "wrong", &inMemory{b: content}, wrong), errSize)
	}
	large := &inMemory{b: pattern(testPart)}
	for _, size := range []int64{testPart, -1} {
		require.ErrorContains(t, s.Create(t.Context(), "large", large, size), "it was read")
	}
	require.Zero(t, large.asked, "what is handed out counts as sent, and this is read")
	require.ErrorContains(t, s.Create(t.Context(), "elsewhere", &inMemory{}, 0), "it was read")
	for _, key := range []string{"wrong", "large", "elsewhere"} {
		_, err := s.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, storage.ErrNotFound, key)
	}
}
