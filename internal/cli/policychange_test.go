package cli

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A policy that comes into force is on record, whatever else the log is full of;
// one that was in force before is not, and a broken one is as refused.
func TestPolicyChangesAreOnRecord(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(rules, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("version: 1\nrules:\n  - name: no-deletes\n    deny: [issue.delete]\n")
	plain, environ := testConfig(t)
	ruled := plain
	ruled.PolicyFile = rules
	serve := func(c Config, during func(*Server)) {
		t.Helper()
		s, err := Start(t.Context(), c, StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		during(s)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	loads := func() (allowed, refused int) {
		t.Helper()
		out := mustRun(t, environ, "", "audit", "query", "--operation", operationLoadPolicy, "--output", "json")
		return strings.Count(out, `"decision":"allow"`), strings.Count(out, `"code":"`+codePolicyInvalid+`"`)
	}
	want := func(when string, allowed, refused int) {
		t.Helper()
		if a, r := loads(); a != allowed || r != refused {
			t.Errorf("%s: %d and %d refused, want %d and %d", when, a, r, allowed, refused)
		}
	}
	noise := func(s *Server) {
		for range recentRecords + 20 {
			resp, err := http.Get("http://" + s.ProxyAddr() + "/c/acme/rest/api/3/myself")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	serve(plain, func(*Server) {})
	want("a first start without rules", 0, 0)
	serve(ruled, noise)
	want("with rules", 1, 0)
	serve(ruled, func(s *Server) {
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	})
	want("the same again", 1, 0)
	serve(ruled, func(s *Server) {
		write("version: 1\nrules:\n  - name: no-deletes\n    deny: [issue.delete, issue.create]\n")
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
		write("version: 1\nrules: nonsense\n")
		if err := s.Reload(); err == nil {
			t.Error("a broken policy was taken")
		}
		noise(s)
	})
	want("changed, and broken", 2, 1)
	serve(plain, func(*Server) {})
	want("without rules", 3, 1)
}
