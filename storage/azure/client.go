package azure

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pondworks/sluice/storage/internal/stall"
)

// blockRetries is how often a request of an upload that has begun is repeated.
// All others are tried once: storage.Retry sits above and repeats whole
// operations, and two layers would multiply. But for a block that means to send
// everything again, from a source that may be gone, and only here are its bytes
// still in memory.
const blockRetries = 2

// newClient builds the client of one container. Requests on which nothing moves for
// the time stalled are given up.
func (s settings) newClient(name string, stalled time.Duration) (*container.Client, error) {
	if name != url.PathEscape(name) {
		return nil, invalid("the name of the container has characters that no container has")
	}
	options := &container.ClientOptions{}
	options.Retry = policy.RetryOptions{MaxRetries: -1} // none
	options.PerCallPolicies = []policy.Policy{patientBlocks{}}
	options.Transport = discreet{stall.Client(http.DefaultClient, stalled)}
	at := strings.TrimSuffix(s.endpoint, "/") + "/" + name
	switch {
	case s.key != "":
		shared, err := container.NewSharedKeyCredential(s.account, s.key)
		if err != nil {
			// The error of the decoder speaks of the key's own characters.
			return nil, invalid("the account key is not base64")
		}
		return checked(container.NewClientWithSharedKeyCredential(at, shared, options))
	case s.sas != "":
		return checked(container.NewClientWithNoCredential(at+"?"+strings.TrimPrefix(s.sas, "?"), options))
	case s.connection != "":
		client, err := container.NewClientFromConnectionString(s.connection, name, options)
		if err != nil {
			return nil, invalid("%s cannot be used", envConnection)
		}
		return client, nil
	case s.anonymous:
		return checked(container.NewClientWithNoCredential(at, options))
	}
	chain, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	return checked(container.NewClient(at, chain, options))
}

func checked(client *container.Client, err error) (*container.Client, error) {
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	return client, nil
}

// patientBlocks gives the requests that send and commit blocks their retries.
type patientBlocks struct{}

func (patientBlocks) Do(r *policy.Request) (*http.Response, error) {
	if comp := r.Raw().URL.Query().Get("comp"); comp == "block" || comp == "blocklist" {
		r = r.WithContext(policy.WithRetryOptions(r.Raw().Context(), policy.RetryOptions{
			MaxRetries: blockRetries, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second,
		}))
	}
	return r.Next()
}

// discreet sends requests and keeps the query out of its errors: with a SAS
// token the query is the credential. When it returns, nobody reads the body of the
// request any more.
type discreet struct{ client stall.Doer }

func (d discreet) Do(r *http.Request) (*http.Response, error) {
	sent, done := lend(r)
	reply, err := d.client.Do(sent)
	done()
	var failed *url.Error
	if errors.As(err, &failed) {
		if u, bad := url.Parse(failed.URL); bad == nil {
			u.RawQuery = ""
			failed.URL = u.String()
		} else {
			failed.URL = r.URL.Host
		}
	}
	if err == nil && isForeign(r, reply) {
		_ = reply.Body.Close() // nothing of it is wanted
		return nil, errForeign
	}
	return reply, err
}

// errForeign: something on the way answered in the service's place, such as the
// login page of a network or a proxy that tells of maintenance. It may be gone later,
// so it is unavailable.
var errForeign = errors.New("the answer is not one of the Blob service")

// isForeign recognises an answer without the headers that all of the service have,
// and an object without a time, which gocloud does not survive. The SDK looks at the
// status alone.
func isForeign(r *http.Request, reply *http.Response) bool {
	if reply.StatusCode/100 != 2 {
		return false
	}
	if reply.Header.Get("x-ms-request-id") == "" && reply.Header.Get("x-ms-version") == "" {
		return true
	}
	q := r.URL.Query()
	return r.Method == http.MethodGet && !q.Has("comp") && !q.Has("restype") && reply.Header.Get("Last-Modified") == ""
}
