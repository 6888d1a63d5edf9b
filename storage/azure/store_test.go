package azure

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// answering returns a store on a service that gives every request one answer.
func answering(t *testing.T, status int, code string) *store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<Error><Code>" + code + "</Code>\n<AuthenticationErrorDetail>hunter2</AuthenticationErrorDetail></Error>"))
	}))
	t.Cleanup(server.Close)
	return open(t, server.URL)
}

func open(t *testing.T, endpoint string) *store { return openWith(t, Driver(), endpoint) }

// TestForeignAnswer: what answers, with status 200, is not the service.
func TestForeignAnswer(t *testing.T) {
	s := answering(t, http.StatusOK, "")
	for op, err := range everyOperation(t, s) {
		require.ErrorIs(t, err, errForeign, op)
		require.ErrorIs(t, err, storage.ErrUnavailable, op)
	}
	require.ErrorIs(t, s.Create(t.Context(), "large", bytes.NewReader(make([]byte, largeSize)), largeSize), errForeign)
}

func openWith(t *testing.T, driver storage.Driver, endpoint string) *store {
	environment(t, nil)
	s, err := storage.OpenConfig(t.Context(), config(t, "endpoint="+endpoint, devAccount, "", "sig=hunter2"), driver)
	require.NoError(t, err)
	return s.(*store)
}

func everyOperation(t *testing.T, s *store) map[string]error {
	_, _, get := s.Get(t.Context(), "k")
	_, put := s.Put(t.Context(), "k", nil, "")
	_, open := s.Open(t.Context(), "k", 0, -1)
	var list error
	for _, err := range s.List(t.Context(), "", "") {
		list = err
	}
	return map[string]error{"create": s.Create(t.Context(), "k", strings.NewReader("x"), 1), "get": get, "put": put, "open": open, "list": list}
}

func TestErrors(t *testing.T) {
	cases := map[string]struct {
		status int
		code   string
		want   error // nil: none of the sentinels
	}{
		"no blob":             {404, "BlobNotFound", storage.ErrNotFound},
		"no container":        {404, "ContainerNotFound", storage.ErrNoBucket},
		"container going":     {409, "ContainerBeingDeleted", storage.ErrNoBucket},
		"bad signature":       {403, "AuthenticationFailed", storage.ErrDenied},
		"no role":             {403, "AuthorizationPermissionMismatch", storage.ErrDenied},
		"taken":               {409, "BlobAlreadyExists", storage.ErrExists},
		"may not overwrite":   {403, "UnauthorizedBlobOverwrite", storage.ErrExists},
		"condition":           {412, "ConditionNotMet", storage.ErrExists},
		"leased":              {412, "LeaseIdMissing", storage.ErrDenied},
		"another committed":   {400, "InvalidBlockList", storage.ErrUnavailable},
		"gone while read":     {409, "BlobOverwritten", nil},
		"bad request":         {400, "InvalidHeaderValue", nil},
		"unknown codes, 404":  {404, "", storage.ErrNotFound},
		"version not of here": {501, "", nil},
	}
	classes := []error{storage.ErrNotFound, storage.ErrNoBucket, storage.ErrDenied, storage.ErrUnavailable, storage.ErrExists, storage.ErrChanged}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for op, err := range everyOperation(t, answering(t, c.status, c.code)) {
				want := c.want
				if want == storage.ErrNotFound && op != "get" && op != "open" {
					continue // no answer to these
				}
				require.Error(t, err, op)
				for _, class := range classes {
					assert.Equal(t, class == want, errors.Is(err, class), "%s: is %q: %v", op, class, err)
				}
				named := want == storage.ErrNoBucket || want == storage.ErrDenied
				assert.Equal(t, named, strings.Contains(err.Error(), `: container "`), "%s: %v", op, err)
				assert.NotContains(t, err.Error(), "\n", op)
				assert.NotContains(t, err.Error(), "hunter2", op)
				assert.Contains(t, err.Error(), c.code, op)
			}
		})
	}
}

func TestClassOfBusyService(t *testing.T) {
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		assert.Equal(t, storage.ErrUnavailable, byStatus(status), status)
	}
}

// TestUnreachable also sees that a SAS token, part of every URL, is in no error.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s := open(t, "http://"+l.Addr().String())
	_, _, err = s.Get(t.Context(), "k")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestChangedAndRefusedKeys(t *testing.T) {
	for status, code := range map[int]string{412: "ConditionNotMet", 404: "BlobNotFound"} {
		_, err := answering(t, status, code).Put(t.Context(), "head", nil, `"0x1"`)
		require.ErrorIs(t, err, storage.ErrChanged)
		require.NotErrorIs(t, err, storage.ErrExists)
	}
	s := answering(t, 500, "")
	for _, key := range []string{`a"b`, "a#b", "a%b", "a?b", "a//b", ""} {
		require.ErrorIs(t, s.Create(t.Context(), key, strings.NewReader(""), 0), storage.ErrInvalidKey, key)
		require.ErrorIs(t, s.Delete(t.Context(), key), storage.ErrInvalidKey, key)
		_, err := s.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, storage.ErrInvalidKey, key)
		_, _, err = s.Get(t.Context(), key)
		require.ErrorIs(t, err, storage.ErrInvalidKey, key)
		_, err = s.Put(t.Context(), key, nil, "")
		require.ErrorIs(t, err, storage.ErrInvalidKey, key)
	}
}

// TestListWithoutParts: a page that has the service's headers and not what the driver
// counts on is an error.
func TestListWithoutParts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-ms-request-id", "1")
		_, _ = w.Write([]byte("<EnumerationResults/>"))
	}))
	t.Cleanup(server.Close)
	require.NotPanics(t, func() {
		for _, err := range open(t, server.URL).List(t.Context(), "", "") {
			require.ErrorContains(t, err, "nil pointer")
		}
	})
}
