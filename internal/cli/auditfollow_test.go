package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// lines passes on each line that is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		l <- string(line)
	}
	return len(p), nil
}

// What is written later comes as it is written, without what the filter leaves out, and
// the end of the command is no error.
func TestFollow(t *testing.T) {
	c, environ := testConfig(t)
	startServer(t, c)
	mustRun(t, environ, "", "client", "add", "before")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := make(lines, 100)
	ended := make(chan int)
	go func() {
		ended <- Main(ctx, []string{"audit", "query", "--follow", "--operation", "admin.client.add", "--output", "json"}, System{In: strings.NewReader(""), Out: out, Err: io.Discard, Environ: environ})
	}()
	if line := <-out; !strings.Contains(line, `"path":"/v1/clients/before"`) {
		t.Fatalf("the past: %s", line)
	}
	mustRun(t, environ, "", "client", "remove", "before")
	mustRun(t, environ, "", "client", "add", "after")
	if line := <-out; !strings.Contains(line, `"path":"/v1/clients/after"`) {
		t.Errorf("what came later: %s", line)
	}
	cancel()
	if code := <-ended; code != 0 || len(out) > 0 {
		t.Errorf("exit code %d, and %d lines more", code, len(out))
	}
}

// Of several logs, it goes on with each.
func TestFollowSeveral(t *testing.T) {
	args := []string{"audit", "query", "--follow", "--operation", "admin.client.add"}
	var environs [][]string
	for _, name := range []string{"zone-a", "zone-b"} {
		c, environ := testConfig(t)
		c.Node = nodeName(name)
		startServer(t, c)
		mustRun(t, environ, "", "client", "add", "before-"+name)
		environs, args = append(environs, environ), append(args, "--log", c.auditDir())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := make(lines, 100)
	ended := make(chan int)
	go func() {
		ended <- Main(ctx, append(args, "--output", "json"), System{In: strings.NewReader(""), Out: out, Err: io.Discard, Environ: environs[0]})
	}()
	is := func(node, client string) {
		t.Helper()
		if line := <-out; !strings.HasPrefix(line, `{"node":"`+node+`",`) || !strings.Contains(line, `"path":"/v1/clients/`+client+`"`) {
			t.Errorf("%s at %s: %s", client, node, line)
		}
	}
	is("zone-a", "before-zone-a")
	is("zone-b", "before-zone-b")
	mustRun(t, environs[1], "", "client", "add", "after")
	is("zone-b", "after")
	mustRun(t, environs[0], "", "client", "add", "later")
	is("zone-a", "later")
	cancel()
	if code := <-ended; code != 0 || len(out) > 0 {
		t.Errorf("exit code %d, and %d lines more", code, len(out))
	}
}

func TestFollowWithoutALog(t *testing.T) {
	_, environ := testConfig(t)
	if code, _, stderr := run(t, environ, "", "audit", "query", "--follow"); code == 0 || !strings.Contains(stderr, "when it first starts") {
		t.Errorf("%d %s", code, stderr)
	}
}
