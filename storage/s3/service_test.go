package s3

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

const (
	testBucket = "pond"
	// testPart stands for minPart, so that the tests move less.
	testPart = 64 << 10
)

// request is what the service was asked.
type request struct {
	op, key string // op as the API reference names it
	header  http.Header
}

// service is gofakes3, which speaks the S3 protocol, with a record of all
// requests and, unless careless, what it lacks: the condition on
// CompleteMultipartUpload.
type service struct {
	fake     http.Handler
	careless bool
	checks   bool                                                  // it says that it looked at checksums
	before   func(http.ResponseWriter, *http.Request, string) bool // may answer itself: true

	publish sync.Mutex // held from looking at a key to publishing it

	mu       sync.Mutex // guards requests
	requests []request
}

func newService(t *testing.T) (*service, string) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(testBucket))
	s := &service{fake: gofakes3.New(backend).Server()}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := operation(r)
	s.mu.Lock()
	s.requests = append(s.requests, request{op, strings.TrimPrefix(r.URL.Path, "/"+testBucket+"/"), r.Header.Clone()})
	s.mu.Unlock()
	if s.before != nil && s.before(w, r, op) {
		return
	}
	if op == "PutObject" || op == "CompleteMultipartUpload" {
		s.publish.Lock()
		defer s.publish.Unlock()
	}
	if op == "CompleteMultipartUpload" && r.Header.Get("If-None-Match") == "*" && !s.careless && s.has(r) {
		reply(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if sum := r.Header.Get(checksumHeader); sum != "" && s.checks {
		w.Header().Set(checksumHeader, sum)
	}
	s.fake.ServeHTTP(w, r)
}

func (s *service) has(r *http.Request) bool {
	found := httptest.NewRecorder()
	s.fake.ServeHTTP(found, httptest.NewRequest(http.MethodHead, r.URL.EscapedPath(), nil))
	return found.Code == http.StatusOK
}

// of returns the recorded requests of one operation.
func (s *service) of(op string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []request
	for _, r := range s.requests {
		if r.op == op {
			found = append(found, r)
		}
	}
	return found
}

func (s *service) ops() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.requests {
		all = append(all, r.op)
	}
	return all
}

func (s *service) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

func operation(r *http.Request) string {
	q := r.URL.Query()
	object := strings.Count(strings.Trim(r.URL.Path, "/"), "/") > 0
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "ListMultipartUploads"
	case r.Method == http.MethodPut && object:
		return "PutObject"
	case r.Method == http.MethodGet && object:
		return "GetObject"
	case r.Method == http.MethodGet:
		return "ListObjectsV2"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	}
	return r.Method
}

func reply(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>so says the test</Message></Error>"))
}

// open returns a store on the service at endpoint, with name=value parameters.
func open(t *testing.T, endpoint string, params ...string) *store {
	return openWith(t, Driver(), endpoint, params...)
}

func openWith(t *testing.T, driver storage.Driver, endpoint string, params ...string) *store {
	c := storage.Config{
		Scheme: "s3", Bucket: testBucket, Prefix: "a/prefix",
		Key: storage.NewSecret("AKID"), Secret: storage.NewSecret("hunter2"),
		Params: url.Values{"endpoint": {endpoint}},
	}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		c.Params.Set(name, value)
	}
	s, err := storage.OpenConfig(t.Context(), c, driver)
	require.NoError(t, err)
	s.(*store).part, s.(*store).patient = testPart, patient(time.Millisecond)
	return s.(*store)
}
