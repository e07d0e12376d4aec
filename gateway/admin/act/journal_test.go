package act_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
)

func open(t *testing.T, dir string) *audit.Log {
	t.Helper()
	log, err := audit.Open(audit.Options{Dir: dir, Sync: audit.SyncWrites, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func journal(log act.Recorder, err error, to *strings.Builder) *act.Journal {
	return &act.Journal{
		Open:         func() (act.Recorder, error) { return log, err },
		PolicySHA256: func() string { return "abc" },
		Now:          time.Now,
		Logger:       slog.New(slog.NewTextHandler(to, nil)),
	}
}

func records(t *testing.T, dir string) []audit.Record {
	t.Helper()
	var all []audit.Record
	for entry, err := range audit.Query(dir, audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Record)
	}
	return all
}

func TestOutcomes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	log := open(t, dir)
	j := journal(log, nil, &strings.Builder{})
	ctx := act.With(t.Context(), act.Actor{Name: "operator:ada", Addr: "unix:pid=1"})
	asked := audit.Record{Operation: "admin.connection.add", Method: "GET", Path: "/v1/connections", Connection: "acme"}
	for _, outcome := range []struct {
		status int
		code   string
	}{{201, ""}, {409, "exists"}, {500, "internal"}, {200, "choose_site"}} {
		a, err := j.Begin(ctx, asked)
		if err != nil {
			t.Fatal(err)
		}
		a.End(outcome.status, outcome.code)
		a.End(599, "again") // changes nothing
		if a.ID() == "" {
			t.Error("the record has no id")
		}
	}
	j.Refuse(context.Background(), audit.Record{ID: "mine", Operation: "admin.key.drop"}, 503, "unavailable")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	all := records(t, dir)
	if len(all) != 5 {
		t.Fatalf("%d records", len(all))
	}
	for i, decision := range []string{"allow", "deny", "allow", "allow"} {
		if r := all[i]; r.Decision != decision || r.Client != "operator:ada" || r.ClientAddr != "unix:pid=1" || r.PolicySHA256 != "abc" || r.Method != "GET" || r.Connection != "acme" {
			t.Errorf("record %+v, want %s", r, decision)
		}
	}
	if r := all[4]; r.ID != "mine" || r.Decision != "deny" || r.Code != "unavailable" || r.Client != "operator:unknown" {
		t.Errorf("record %+v", r)
	}
}

// An act of which no end is known stands in the log all the same.
func TestActThatACrashInterrupts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	log := open(t, dir)
	if _, err := journal(log, nil, &strings.Builder{}).Begin(t.Context(), audit.Record{Operation: "admin.connection.remove", Method: "DELETE", Connection: "acme"}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if all := records(t, dir); len(all) != 1 || all[0].Code != audit.CodeInterrupted || all[0].Operation != "admin.connection.remove" || all[0].Connection != "acme" {
		t.Errorf("records %+v", all)
	}
}

func TestWithoutLog(t *testing.T) {
	var said strings.Builder
	j := journal(nil, errors.New("no space left on device"), &said)
	if _, err := j.Begin(t.Context(), audit.Record{Operation: "admin.client.add"}); !errors.Is(err, act.ErrUnavailable) {
		t.Errorf("begin: %v", err)
	}
	j.Refuse(t.Context(), audit.Record{Operation: "admin.client.add"}, 409, "exists")
	if !strings.Contains(said.String(), "admin.client.add") || !strings.Contains(said.String(), "exists") {
		t.Errorf("the log says %q", said.String())
	}
}

func TestWait(t *testing.T) {
	log := open(t, filepath.Join(t.TempDir(), "audit"))
	defer log.Close() // nothing is left to write
	j := journal(log, nil, &strings.Builder{})
	if err := j.Wait(t.Context()); err != nil {
		t.Errorf("with nothing under way: %v", err)
	}
	asked := audit.Record{Operation: "admin.connection.remove"}
	var acts []*act.Act
	for range 2 {
		a, err := j.Begin(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		acts = append(acts, a)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Wait(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("with two under way: %v", err)
	}
	if _, err := j.Begin(gone, asked); !errors.Is(err, context.Canceled) || errors.Is(err, act.ErrUnavailable) {
		t.Errorf("an act for somebody who has gone: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- j.Wait(t.Context()) }()
	acts[0].End(200, "")
	acts[0].End(200, "") // counts once
	select {
	case <-waited:
		t.Error("the second act was not waited for")
	default:
	}
	acts[1].End(200, "")
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if err := j.Wait(t.Context()); err != nil {
		t.Errorf("with nothing under way any more: %v", err)
	}
}
