package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// gateway is an S3 server with users of few rights.
type gateway struct {
	t        *testing.T
	endpoint string
	client   *s3.Client // of the one who may everything
}

// startGateway starts the S3 server that SLUICE_VERSITYGW names, or skips.
func startGateway(t *testing.T) *gateway {
	t.Helper()
	program := os.Getenv("SLUICE_VERSITYGW")
	if program == "" {
		t.Skip("SKIPPED: SLUICE_VERSITYGW names no versitygw; .ci/run installs one")
	}
	address := freeAddress(t)
	g := &gateway{t: t, endpoint: "http://" + address}
	cmd := exec.Command(program, "--port", address, "--access", "root", "--secret", "rootsecret", "--iam-dir", t.TempDir(), "--quiet", "posix", t.TempDir())
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	}, 20*time.Second, 20*time.Millisecond)
	for _, user := range []string{"pusher", "reader", "lister", "nobody"} {
		out, err := exec.Command(program, "admin", "--access", "root", "--secret", "rootsecret", "--endpoint-url", g.endpoint,
			"create-user", "--access", user, "--secret", user+"secret", "--role", "user").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	g.client = s3.New(s3.Options{BaseEndpoint: &g.endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("root", "rootsecret", "")})
	return g
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// grant lets a user do actions on keys; of listing the bucket is the resource.
type grant struct {
	user      string
	actions   []string
	resources []string
}

// bucket makes a bucket where only these grants hold.
func (g *gateway) bucket(name string, grants ...grant) {
	g.t.Helper()
	_, err := g.client.CreateBucket(g.t.Context(), &s3.CreateBucketInput{Bucket: &name})
	require.NoError(g.t, err)
	var statements []any
	for _, grant := range grants {
		var resources []string
		for _, r := range grant.resources {
			resources = append(resources, "arn:aws:s3:::"+name+r)
		}
		statements = append(statements, map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"AWS": []string{grant.user}}, "Action": grant.actions, "Resource": resources,
		})
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	require.NoError(g.t, err)
	_, err = g.client.PutBucketPolicy(g.t.Context(), &s3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String(string(policy))})
	require.NoError(g.t, err)
}

// as is a store of the bucket for one user.
func (g *gateway) as(user, bucket string) place {
	return place{fmt.Sprintf("s3://%s/prod?endpoint=%s&region=us-east-1&use_path_style=true", bucket, g.endpoint),
		[]string{"AWS_ACCESS_KEY_ID=" + user, "AWS_SECRET_ACCESS_KEY=" + user + "secret"}}
}

func (g *gateway) has(bucket, key string) bool {
	g.t.Helper()
	out, err := g.client.ListObjectsV2(g.t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &key})
	require.NoError(g.t, err)
	return len(out.Contents) > 0
}

// writeTable adds n versions to a Delta table by hand, each with a file of that
// many bytes.
func writeTable(t *testing.T, dir string, from, n, size int) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "_delta_log"), 0o755))
	for v := from; v < from+n; v++ {
		name := fmt.Sprintf("part-%05d.parquet", v)
		content := noise(size)
		commit := ""
		if v == 0 {
			commit = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
				`{"metaData":{"id":"least-right","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}` + "\n"
		}
		commit += fmt.Sprintf(`{"add":{"path":"%s","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", name, len(content))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "_delta_log", fmt.Sprintf("%020d.json", v)), []byte(commit), 0o644))
	}
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	for i, x := 0, uint64(n)*0x9e3779b97f4a7c15+1; i < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return b
}

var (
	mayList = []string{"s3:ListBucket"}
	mayRead = []string{"s3:GetObject"}
)

// TestLeastRight: a pusher that may create, read and list, everywhere but for
// the head not even overwrite; a replica that may read and list.
func TestLeastRight(t *testing.T) {
	g := startGateway(t)
	for _, mayHead := range []bool{true, false} {
		t.Run(fmt.Sprintf("head %t", mayHead), func(t *testing.T) {
			bucket := fmt.Sprintf("least-right-%t", mayHead)
			creates := []string{"/prod/sluice.json", "/prod/sluice-probe*", "/prod/backups/version-*"}
			if mayHead {
				creates = append(creates, "/prod/backups/head.json")
			}
			g.bucket(bucket,
				grant{"pusher", mayList, []string{""}}, grant{"pusher", mayRead, []string{"/prod/*"}},
				grant{"pusher", []string{"s3:PutObject"}, creates},
				grant{"reader", mayList, []string{""}}, grant{"reader", mayRead, []string{"/prod/*"}})
			pusher, reader := g.as("pusher", bucket), g.as("reader", bucket)
			table, replica := t.TempDir(), filepath.Join(t.TempDir(), "replica")

			writeTable(t, table, 0, 3, 100)
			must(t, pusher.env, "push", table, pusher.url)
			must(t, reader.env, "init", replica, reader.url)
			writeTable(t, table, 3, 2, 20<<20) // as multipart uploads
			must(t, pusher.env, "push", table, pusher.url)
			must(t, reader.env, "pull", replica, reader.url)
			must(t, pusher.env, "base", table, pusher.url)
			require.Contains(t, must(t, reader.env, "status", replica, reader.url), "0 behind, 0 ahead")
			require.Equal(t, mayHead, g.has(bucket, "prod/backups/head.json"), "the head is only a hint")
			live := filepath.Join(t.TempDir(), "live")
			must(t, reader.env, "init", live, reader.url, "--history", "live")
			for _, copied := range []string{replica, live} {
				for _, name := range []string{"part-00004.parquet", "_delta_log/00000000000000000004.json"} {
					want, err := os.ReadFile(filepath.Join(table, name))
					require.NoError(t, err)
					got, err := os.ReadFile(filepath.Join(copied, name))
					require.NoError(t, err)
					require.Equal(t, want, got, name)
				}
			}

			writeTable(t, table, 5, 1, 100)
			code, out := sluice(t, reader.env, "push", table, reader.url)
			require.Equal(t, exitDenied, code, out)
			require.Contains(t, out, "backups/version-000005/bundle.tar.zst")
		})
	}
}

// TestDeniedIsNotEmpty: nobody takes a store that it may not read for one that
// holds nothing.
func TestDeniedIsNotEmpty(t *testing.T) {
	g := startGateway(t)
	g.bucket("locked",
		grant{"pusher", mayList, []string{""}}, grant{"pusher", []string{"s3:GetObject", "s3:PutObject"}, []string{"/prod/*"}},
		grant{"lister", mayList, []string{""}}, grant{"reader", mayRead, []string{"/prod/*"}})
	table := t.TempDir()
	writeTable(t, table, 0, 2, 100)
	pusher := g.as("pusher", "locked")
	must(t, pusher.env, "push", table, pusher.url)
	replica := filepath.Join(t.TempDir(), "replica")
	must(t, pusher.env, "init", replica, pusher.url)
	writeTable(t, table, 2, 1, 100)
	for _, user := range []string{"nobody", "lister", "reader"} {
		denied := g.as(user, "locked")
		for _, args := range [][]string{
			{"init", filepath.Join(t.TempDir(), "new"), denied.url}, {"push", table, denied.url},
			{"pull", replica, denied.url}, {"status", table, denied.url}, {"versions", denied.url},
		} {
			code, out := sluice(t, denied.env, args...)
			switch what := user + " " + args[0]; what {
			case "reader pull", "reader status": // take reading alone, as long as there is a head
				require.Zero(t, code, out)
			default:
				require.Equal(t, exitDenied, code, "%s: %s", what, out)
				require.Contains(t, out, "access denied", what)
			}
			require.NotContains(t, out, "holds no versions")
		}
	}
}

// exitDenied is the exit code for what the service refuses.
const exitDenied = 9
