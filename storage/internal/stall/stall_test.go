package stall_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage/internal/stall"
)

// service answers one request.
type service func(*http.Request) (*http.Response, error)

func (s service) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func (s service) Do(r *http.Request) (*http.Response, error) { return s(r) }

// line yields a byte every second until it hangs, and ends with ctx.
type line struct {
	ctx  context.Context
	left int
}

func (l *line) Read(p []byte) (int, error) {
	wait := time.Second
	if l.left == 0 {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-l.ctx.Done():
		return 0, l.ctx.Err()
	}
	l.left--
	p[0] = 'x'
	return 1, nil
}

func (l *line) Close() error { return nil }

func request(ctx context.Context, t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://service/key", body)
	require.NoError(t, err)
	return r
}

func requireStalled(t *testing.T, err error) {
	t.Helper()
	var stalled *stall.Error
	require.ErrorAs(t, err, &stalled)
	var network net.Error
	require.ErrorAs(t, err, &network)
	require.True(t, network.Timeout())
}

func TestAnswerThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := service(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		_, err := stall.Transport(hangs, 10*time.Second).RoundTrip(request(t.Context(), t, nil))
		requireStalled(t, err)
		require.Equal(t, 10*time.Second, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = stall.Client(hangs, 10*time.Second).Do(request(ctx, t, nil))
		require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's own deadline stays what it is")
		require.Equal(t, 11*time.Second, time.Since(began))

		refused := errors.New("refused")
		_, err = stall.Client(service(func(*http.Request) (*http.Response, error) { return nil, refused }), 10*time.Second).Do(request(t.Context(), t, nil))
		require.Equal(t, refused, err)
	})
}

// A body may take as long as it likes, as long as something comes; nobody reading is
// not the line's fault.
func TestAnswerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := service(func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: &line{r.Context(), 100}}, nil
		})
		reply, err := stall.Client(slow, 10*time.Second).Do(request(t.Context(), t, nil))
		require.NoError(t, err)
		time.Sleep(time.Hour) // the caller had something else to do
		began := time.Now()
		b, err := io.ReadAll(reply.Body)
		requireStalled(t, err)
		require.Len(t, b, 100)
		require.Equal(t, 110*time.Second, time.Since(began))
		require.NoError(t, reply.Body.Close())
	})
}

// upload reads the body as a transport does, in a goroutine of its own.
func upload(r *http.Request, then func() (*http.Response, error)) (*http.Response, error) {
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, r.Body)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
		return then()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// slowSource yields nothing for a long time, and then its end.
type slowSource struct{ io.Reader }

func (s slowSource) Read(p []byte) (int, error) {
	time.Sleep(time.Hour)
	return s.Reader.Read(p)
}

func TestUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := service(func(r *http.Request) (*http.Response, error) {
			return upload(r, func() (*http.Response, error) { return &http.Response{Body: http.NoBody}, nil })
		})
		reply, err := stall.Client(takes, 10*time.Second).Do(request(t.Context(), t, slowSource{strings.NewReader("x")}))
		require.NoError(t, err, "the source is slow, not the line")
		require.NoError(t, reply.Body.Close())

		hangs := service(func(r *http.Request) (*http.Response, error) {
			return upload(r, func() (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		began := time.Now()
		_, err = stall.Client(hangs, 10*time.Second).Do(request(t.Context(), t, slowSource{strings.NewReader("x")}))
		requireStalled(t, err)
		require.Equal(t, 2*time.Hour+10*time.Second, time.Since(began), "two reads of the source, and the limit")
	})
}

// A service that answers before it has read everything, as with an error: what is
// still sent starts no clock behind the reader's back.
func TestAnswerBeforeTheEndOfTheUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan error, 1)
		early := service(func(r *http.Request) (*http.Response, error) {
			go func() {
				_, err := io.Copy(io.Discard, r.Body)
				sent <- err
			}()
			return &http.Response{Body: &line{r.Context(), 1}}, nil
		})
		reply, err := stall.Client(early, 10*time.Second).Do(request(t.Context(), t, slowSource{strings.NewReader("x")}))
		require.NoError(t, err)
		require.NoError(t, <-sent)
		time.Sleep(time.Hour)
		_, err = reply.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, reply.Body.Close())
	})
}

// A redirect sends the body again.
func TestBodyThatIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := service(func(r *http.Request) (*http.Response, error) {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(body)
			return &http.Response{Body: io.NopCloser(strings.NewReader(string(b)))}, err
		})
		reply, err := stall.Client(again, time.Second).Do(request(t.Context(), t, strings.NewReader("content")))
		require.NoError(t, err)
		b, err := io.ReadAll(reply.Body)
		require.NoError(t, err)
		require.Equal(t, "content", string(b))
		require.NoError(t, reply.Body.Close())
	})
}
