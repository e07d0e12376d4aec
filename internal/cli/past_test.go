package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/audit"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// What was made up has its times, and the gateway goes on from there with the same keys.
func TestWritePast(t *testing.T) {
	environ := []string{"JIRAGATE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "JIRAGATE_PROXY_LISTEN=127.0.0.1:0", "JIRAGATE_ADMIN_LISTEN=127.0.0.1:0"}
	c, err := ParseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	then := time.Date(2020, 2, 29, 23, 59, 59, 0, time.UTC)
	write := func(ctx context.Context, p Past) error {
		_, err := p.Audit.Append(audit.Record{Decision: audit.DecisionDeny, PolicySHA256: p.Policy.SHA256()})
		return errors.Join(err, p.Store.AddConnection(ctx, tokenstore.Connection{
			ID: "globex", Edition: policy.DataCenter, BaseURL: "https://jira.globex.example", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindPAT,
		}, tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("made-up-for-the-test-0123456789")}))
	}
	if err := WritePast(t.Context(), c, func() time.Time { return then }, write); err != nil {
		t.Fatal(err)
	}
	if err := WritePast(t.Context(), c, time.Now, write); !errors.Is(err, fs.ErrExist) {
		t.Errorf("in a directory in use: %v", err)
	}
	s, err := Start(t.Context(), c, StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if out := mustRun(t, environ, "", "audit", "verify"); !strings.Contains(out, "behind it 0") {
		t.Errorf("audit verify:\n%s", out)
	}
	for _, command := range [][]string{{"audit", "query", "--output", "json"}, {"connection", "show", "globex", "--output", "json"}} {
		if out := mustRun(t, environ, "", command...); !strings.Contains(out, "2020-02-29T23:59:59") {
			t.Errorf("%s doesn't tell of %s:\n%s", command[0], then, out)
		}
	}
}
