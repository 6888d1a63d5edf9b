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
)

// maxRetries bounds the SDK's own retries of one request. storage.Retry sits
// above and repeats whole operations, but the block of a stream can be sent
// again only here, where its bytes are still in memory.
const maxRetries = 2

// newClient builds the client of one container.
func (s settings) newClient(name string) (*container.Client, error) {
	if name != url.PathEscape(name) {
		return nil, invalid("the name of the container has characters that no container has")
	}
	options := &container.ClientOptions{}
	options.Retry = policy.RetryOptions{
		MaxRetries: maxRetries, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second,
	}
	options.Transport = discreet{}
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

// discreet sends requests and keeps the query out of its errors: with a SAS
// token the query is the credential.
type discreet struct{}

func (discreet) Do(r *http.Request) (*http.Response, error) {
	reply, err := http.DefaultClient.Do(r)
	var failed *url.Error
	if errors.As(err, &failed) {
		if u, bad := url.Parse(failed.URL); bad == nil {
			u.RawQuery = ""
			failed.URL = u.String()
		} else {
			failed.URL = r.URL.Host
		}
	}
	return reply, err
}
