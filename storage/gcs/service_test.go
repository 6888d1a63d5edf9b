package gcs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testBucket = "pond"
	objectPath = apiPath + "b/" + testBucket + "/o"
	uploadPath = "/upload" + objectPath
	testPage   = 100 // keys of one page, so that listings need several
)

// service speaks the few calls of the JSON API that the driver makes, as
// Google's reference describes them, so that the driver's requests are tested
// wherever Go is. It is our reading of that reference: what proves the driver is
// TestSuiteServer, with a server that others wrote. It keeps a record of its requests.
type service struct {
	before func(http.ResponseWriter, *http.Request) bool // may answer itself: true

	mu       sync.Mutex // guards all below
	objects  map[string]object
	sessions map[string]*session
	last     int64 // generation or session number given out
	requests []*http.Request
}

type object struct {
	content    []byte
	generation int64
}

// session is a resumable upload under way.
type session struct {
	name, match string
	content     []byte
}

func newService(t *testing.T) (*service, string) {
	t.Helper()
	s := &service{objects: map[string]object{}, sessions: map[string]*session{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// take returns the requests since the last take.
func (s *service) take() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.requests
	s.requests = nil
	return taken
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The whole body first: a sender that fails or is cancelled half-way has
	// sent nothing, and nobody waits for a slow one with the lock held.
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Clone(context.WithoutCancel(r.Context())))
	if err != nil || s.before != nil && s.before(w, r) {
		return
	}
	name := strings.TrimPrefix(r.URL.Path, objectPath+"/")
	q := r.URL.Query()
	switch {
	case r.URL.Path == uploadPath && q.Get("uploadType") == "multipart":
		s.uploadWhole(w, r, body)
	case r.URL.Path == uploadPath && q.Get("uploadType") == "resumable" && q.Get("upload_id") == "":
		s.beginUpload(w, r, body)
	case r.URL.Path == uploadPath:
		s.uploadChunk(w, r, body)
	case r.URL.Path == objectPath && r.Method == http.MethodGet:
		s.list(w, r)
	case name != r.URL.Path && r.Method == http.MethodGet:
		s.get(w, r, name)
	case name != r.URL.Path && r.Method == http.MethodDelete:
		s.remove(w, name)
	default:
		refuse(w, http.StatusNotImplemented, r.Method+" "+r.URL.Path, "notImplemented")
	}
}

// refuse answers with an error as the API words it.
func refuse(w http.ResponseWriter, status int, message, reason string) {
	answer(w, status, map[string]any{"error": map[string]any{
		"code": status, "message": message, "errors": []map[string]string{{"reason": reason, "message": message}},
	}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who went away does not hear it
}

func (o object) resource(name string) map[string]any {
	return map[string]any{
		"kind": "storage#object", "bucket": testBucket, "name": name, "size": strconv.Itoa(len(o.content)),
		"generation": strconv.FormatInt(o.generation, 10), "updated": time.Now().UTC().Format(time.RFC3339Nano),
		"crc32c": o.checksum(),
	}
}

// checksum is what the client compares with what it sent or received.
func (o object) checksum() string {
	sum := crc32.Checksum(o.content, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func (s *service) get(w http.ResponseWriter, r *http.Request, name string) {
	o, ok := s.objects[name]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "No such object: "+testBucket+"/"+name, "notFound")
	case r.URL.Query().Get("alt") == "media":
		w.Header().Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
		w.Header().Set("X-Goog-Hash", "crc32c="+o.checksum())
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.content))
	default:
		answer(w, http.StatusOK, o.resource(name))
	}
}

func (s *service) remove(w http.ResponseWriter, name string) {
	if _, ok := s.objects[name]; !ok {
		refuse(w, http.StatusNotFound, "No such object: "+testBucket+"/"+name, "notFound")
		return
	}
	delete(s.objects, name)
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	first := max(q.Get("startOffset"), q.Get("pageToken")) // a token is the key to begin at
	page := map[string]any{"kind": "storage#objects"}
	items := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if name < first || !strings.HasPrefix(name, q.Get("prefix")) {
			continue
		}
		if len(items) == testPage {
			page["nextPageToken"] = name
			break
		}
		items = append(items, s.objects[name].resource(name))
	}
	page["items"] = items
	answer(w, http.StatusOK, page)
}

// uploadWhole is one request of two parts: the resource as JSON, the content.
func (s *service) uploadWhole(w http.ResponseWriter, r *http.Request, body []byte) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var resource struct{ Name string }
	if err == nil {
		err = nextPart(parts, func(part io.Reader) error { return json.NewDecoder(part).Decode(&resource) })
	}
	var content []byte
	if err == nil {
		err = nextPart(parts, func(part io.Reader) (err error) { content, err = io.ReadAll(part); return err })
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "invalid")
		return
	}
	s.publish(w, resource.Name, r.URL.Query().Get("ifGenerationMatch"), content)
}

func nextPart(parts *multipart.Reader, read func(io.Reader) error) error {
	part, err := parts.NextPart()
	if err != nil {
		return err
	}
	return read(part)
}

func (s *service) beginUpload(w http.ResponseWriter, r *http.Request, body []byte) {
	var resource struct{ Name string }
	if err := json.Unmarshal(body, &resource); err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "invalid")
		return
	}
	s.last++
	id := strconv.FormatInt(s.last, 10)
	s.sessions[id] = &session{name: resource.Name, match: r.URL.Query().Get("ifGenerationMatch")}
	w.Header().Set("Location", "http://"+r.Host+uploadPath+"?uploadType=resumable&upload_id="+id)
}

// uploadChunk takes "bytes 0-99/*", "bytes 100-149/150" or, for an end without
// bytes, "bytes */150"; the last two publish.
func (s *service) uploadChunk(w http.ResponseWriter, r *http.Request, body []byte) {
	up := s.sessions[r.URL.Query().Get("upload_id")]
	span, total, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if up == nil || !ok || span != "*" && !strings.HasPrefix(span, fmt.Sprint(len(up.content), "-")) {
		refuse(w, http.StatusBadRequest, "bad chunk "+span, "invalid")
		return
	}
	up.content = append(up.content, body...)
	switch total {
	case "*":
		w.Header().Set("X-Http-Status-Code-Override", strconv.Itoa(http.StatusPermanentRedirect))
		w.Header().Set("Range", fmt.Sprint("bytes=0-", len(up.content)-1))
	case strconv.Itoa(len(up.content)):
		s.publish(w, up.name, up.match, up.content)
	default:
		refuse(w, http.StatusBadRequest, "not all bytes are here", "invalid")
	}
}

// publish stores an object if its generation is the one asked for: 0 is none.
func (s *service) publish(w http.ResponseWriter, name, match string, content []byte) {
	if match != "" && match != strconv.FormatInt(s.objects[name].generation, 10) {
		refuse(w, http.StatusPreconditionFailed, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
		return
	}
	s.last++
	s.objects[name] = object{content, s.last}
	answer(w, http.StatusOK, s.objects[name].resource(name))
}
