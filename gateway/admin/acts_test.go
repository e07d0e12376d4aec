package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/audit"
	"jiragate/tokenstore"
	"jiragate/tokenstore/oauth"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// acting returns the local face over a store, and the records of its acts.
func acting(t *testing.T, changes ...func(*admin.Options)) (http.Handler, trail) {
	t.Helper()
	store, _ := openStore(t)
	tr := newTrail(t)
	o := options(t, store)
	o.Audit = tr.log
	for _, change := range changes {
		change(&o)
	}
	return local(t, o), tr
}

func TestEveryChangeIsOnRecord(t *testing.T) {
	h, tr := acting(t)
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string // operation, connection, decision, code
	}{
		{"POST", "/v1/connections", basicConnection, 201, "admin.connection.add globex allow "},
		{"POST", "/v1/connections", basicConnection, 409, "admin.connection.add globex deny exists"},
		{"POST", "/v1/connections", strings.Replace(basicConnection, "https", "http", 1), 400, "admin.connection.add globex deny invalid"},
		{"POST", "/v1/connections", "{", 400, "admin.connection.add  deny invalid"},
		{"POST", "/v1/connections/globex/disable", "", 200, "admin.connection.disable globex allow "},
		{"POST", "/v1/connections/globex/enable", "", 200, "admin.connection.enable globex allow "},
		{"POST", "/v1/connections/nowhere/enable", "", 404, "admin.connection.enable nowhere deny not_found"},
		{"PUT", "/v1/connections/globex/credential", `{"kind": "basic", "username": "u", "password": "S3cretNew"}`, 200, "admin.connection.credential globex allow "},
		{"PUT", "/v1/connections/globex/credential", `{"kind": "pat", "token": "S3cret"}`, 400, "admin.connection.credential globex deny invalid"},
		{"POST", "/v1/connections/globex/issues", `{"issues": [{"id": "10001", "key": "ACME-1"}]}`, 200, "admin.issue.import globex allow "},
		{"POST", "/v1/connections/globex/consent", "", 409, "admin.connection.consent globex deny conflict"},
		{"POST", "/v1/clients", `{"name": "billing", "token": "S3cretBroughtToken-0123456789-0123456789"}`, 201, "admin.client.add  allow "},
		{"POST", "/v1/clients", `{"name": "billing"}`, 409, "admin.client.add  deny exists"},
		{"POST", "/v1/clients/billing/token", `{}`, 200, "admin.client.rotate  allow "},
		{"PUT", "/v1/clients/billing/grants/globex", "", 204, "admin.client.grant globex allow "},
		{"DELETE", "/v1/clients/billing/grants/globex", "", 204, "admin.client.revoke globex allow "},
		{"DELETE", "/v1/clients/billing/grants/globex", "", 404, "admin.client.revoke globex deny not_found"},
		{"DELETE", "/v1/clients/billing", "", 204, "admin.client.remove  allow "},
		{"POST", "/v1/keys/prepare", "", 503, "admin.key.prepare  deny unavailable"},
		{"POST", "/v1/keys/rotate", "", 503, "admin.key.rotate  deny unavailable"},
		{"POST", "/v1/ca/prepare", "", 503, "admin.ca.prepare  deny unavailable"},
		{"POST", "/v1/ca/rotate", "", 503, "admin.ca.rotate  deny unavailable"},
		{"POST", "/v1/upgrade", "", 503, "admin.upgrade  deny unavailable"},
		{"DELETE", "/v1/connections/globex", "", 200, "admin.connection.remove globex allow "},

		// These change nothing.
		{"GET", "/v1/connections", "", 200, ""},
		{"GET", "/v1/clients", "", 200, ""},
		{"POST", "/v1/store/check", "", 200, ""},
		{"POST", "/v1/policy/explain", `{"method": "GET", "url": "https://acme.atlassian.net/"}`, 200, ""},
	} {
		before := len(tr.records(t))
		if status, body := call(t, h, step.method, step.path, step.body); status != step.status {
			t.Errorf("%s %s: %d %s", step.method, step.path, status, body)
		}
		all := tr.records(t)[before:]
		if step.want == "" {
			if len(all) > 0 {
				t.Errorf("%s %s is on record: %+v", step.method, step.path, all)
			}
			continue
		}
		if len(all) != 1 {
			t.Errorf("%s %s: %d records", step.method, step.path, len(all))
			continue
		}
		r := all[0]
		if got := fmt.Sprintf("%s %s %s %s", r.Operation, r.Connection, r.Decision, r.Code); got != step.want {
			t.Errorf("%s %s: %q, want %q", step.method, step.path, got, step.want)
		}
		if r.BytesIn != int64(len(step.body)) {
			t.Errorf("%s %s: %d bytes in, want %d", step.method, step.path, r.BytesIn, len(step.body))
		}
		if r.Client != "operator:root" || r.ClientAddr != "unix:pid=123" || r.Method != step.method || r.Status != step.status ||
			!strings.HasPrefix(r.Path, step.path) || r.PolicySHA256 == "" || r.Decision == "allow" && r.Connection == "globex" && strings.Contains(step.path, "/globex/") && strings.HasPrefix(r.Operation, "admin.connection") && r.Credential != "basic" {
			t.Errorf("record %+v", r)
		}
	}
	paths := []string{}
	for _, r := range tr.records(t) {
		paths = append(paths, r.Path)
	}
	if !slices.Contains(paths, "/v1/clients/billing") {
		t.Error("no record names the client that was added")
	}
}

func TestBackupIsOnRecord(t *testing.T) {
	h, tr := acting(t)
	if status, _ := call(t, h, "GET", "/v1/store/backup", ""); status != 200 {
		t.Errorf("status %d", status)
	}
	if all := tr.records(t); len(all) != 1 || all[0].Operation != "admin.store.backup" || all[0].Status != 200 {
		t.Errorf("records %+v", all)
	}
}

// An act that panics half-way is on record as a failure.
func TestPanicIsOnRecord(t *testing.T) {
	store, _ := openStore(t)
	tr := newTrail(t)
	o := options(t, halfBackup{store})
	o.Audit = tr.log
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the answer was not cut short")
			}
		}()
		call(t, local(t, o), "GET", "/v1/store/backup", "")
	}()
	if all := tr.records(t); len(all) != 1 || all[0].Decision != audit.DecisionAllow || all[0].Code != admin.CodeInternal || all[0].Status != 500 {
		t.Errorf("records %+v", all)
	}
}

// brokenLog can't be written.
type brokenLog struct{}

func (brokenLog) Begin(audit.Record) (*audit.Pending, error) { return nil, audit.ErrUnavailable }
func (brokenLog) Append(audit.Record) (audit.Record, error) {
	return audit.Record{}, audit.ErrUnavailable
}

func TestNothingIsDoneWithoutRecord(t *testing.T) {
	for name, log := range map[string]func() (act.Recorder, error){
		"can't be opened":  func() (act.Recorder, error) { return nil, errors.New("no such directory") },
		"can't be written": func() (act.Recorder, error) { return brokenLog{}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := openStore(t)
			o := options(t, store)
			h := local(t, o)
			call(t, h, "POST", "/v1/connections", basicConnection)
			call(t, h, "POST", "/v1/clients", `{"name": "billing"}`)
			before := store.Directory()

			o.Audit = log
			h = local(t, o)
			for _, request := range []struct{ method, path, body string }{
				{"POST", "/v1/connections", cloudConnection},
				{"DELETE", "/v1/connections/globex", ""},
				{"POST", "/v1/connections/globex/disable", ""},
				{"PUT", "/v1/connections/globex/credential", `{"kind": "basic", "username": "u", "password": "S3cretNew"}`},
				{"POST", "/v1/connections/globex/issues", `{"issues": [{"id": "1"}]}`},
				{"POST", "/v1/clients", `{"name": "other"}`},
				{"POST", "/v1/clients/billing/token", `{}`},
				{"PUT", "/v1/clients/billing/grants/globex", ""},
				{"DELETE", "/v1/clients/billing", ""},
				{"GET", "/v1/store/backup", ""},
			} {
				status, body := call(t, h, request.method, request.path, request.body)
				if wantCode(t, body, admin.CodeRecordUnavailable); status != 503 {
					t.Errorf("%s %s: %d", request.method, request.path, status)
				}
			}
			if status, _ := call(t, h, "GET", "/v1/connections", ""); status != 200 {
				t.Errorf("what changes nothing needs no record: %d", status)
			}
			if store.Directory() != before {
				t.Error("the store has changed")
			}
		})
	}
}

func TestWhoIsOnRecord(t *testing.T) {
	store, _ := openStore(t)
	tr := newTrail(t)
	o := options(t, store)
	o.Audit = tr.log
	h := network(t, o, admin.Guard{Token: secret.New(adminToken)})
	call(t, h, "POST", "/v1/clients", `{"name": "billing"}`, bearer())
	call(t, h, "POST", "/v1/clients", `{"name": "thief"}`)
	all := tr.records(t)
	if len(all) != 2 || all[0].Client != "operator:admin-token" || all[0].ClientAddr != "192.0.2.1:1234" {
		t.Fatalf("records %+v", all)
	}
	if r := all[1]; r.Client != "operator:unknown" || r.ClientAddr != "192.0.2.1:1234" || r.Operation != "admin.refused" || r.Decision != audit.DecisionDeny || r.Code != admin.CodeUnauthorised {
		t.Errorf("record %+v", r)
	}
}

func TestOptionsAreComplete(t *testing.T) {
	store, _ := openStore(t)
	for name, change := range map[string]func(*admin.Options){
		"no log":           func(o *admin.Options) { o.Audit = nil },
		"no probe":         func(o *admin.Options) { o.Probe = nil },
		"no policy":        func(o *admin.Options) { o.Policy = nil },
		"bad redirect URL": func(o *admin.Options) { o.RedirectURL = "https://gate.example/elsewhere" },
		"half the keys":    func(o *admin.Options) { o.Keys = &fakeKeys{} },
	} {
		o := options(t, store)
		change(&o)
		if _, err := admin.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What a request holds gets into a record only as far as a connection or a client can
// have it, and is not quoted at length.
func TestRecordsAreNotForAnything(t *testing.T) {
	h, tr := acting(t)
	junk := "junk" + strings.Repeat("x", 1000)
	for _, request := range []struct{ method, path, body string }{
		{"POST", "/v1/connections", `{"id": "` + junk + `"}`},
		{"POST", "/v1/connections", `{"id": "a", "edition": "` + junk + `", "credential": {"kind": "` + junk + `"}}`},
		{"POST", "/v1/connections", `{"id": "a", "region": "` + junk + `", "edition": "` + junk + `", "credential": {"kind": "pat", "token": "t"}}`},
		{"POST", "/v1/connections", basicConnection},
		{"PUT", "/v1/connections/globex/credential", `{"kind": "` + junk + `"}`},
		{"POST", "/v1/clients", `{"name": "` + junk + `"}`},
		{"POST", "/v1/clients", `{"name": "a", "connections": ["` + junk + `"]}`},
	} {
		if _, body := call(t, h, request.method, request.path, request.body); len(body) > 600 {
			t.Errorf("%s %.60s: the answer quotes all of it: %s", request.method, request.body, body)
		}
	}
	all := tr.records(t)
	if len(all) != 7 {
		t.Fatalf("%d records", len(all))
	}
	for _, r := range all {
		if s := fmt.Sprintf("%+v", r); strings.Contains(s, "junk") {
			t.Errorf("record %s", s)
		}
	}
}

// leaving is a Consenter whose caller leaves while it is at work.
type leaving struct {
	admin.Consenter
	meanwhile func()
}

func (l leaving) Revoke(ctx context.Context, _ string) (oauth.Revocation, error) {
	l.meanwhile()
	return oauth.RevocationDone, ctx.Err()
}

const dataCenterConnection = `{"id": "dc", "edition": "datacenter", "base_url": "https://jira.acme.com",
	"credential": {"kind": "oauth2", "client_id": "gate", "client_secret": "S3cretOne", "access_token": "S3cretAccess"}}`

func TestActsOutliveTheirCaller(t *testing.T) {
	store, _ := openStore(t)
	o := options(t, store)
	tr := newTrail(t)
	o.Audit = tr.log
	o.RedirectURL = gateRedirect
	ctx, leave := context.WithCancel(t.Context())
	revoking, goOn := make(chan struct{}), make(chan struct{})
	o.Consenter = leaving{meanwhile: func() { leave(); close(revoking); <-goOn }}
	api := newAPI(t, o)
	h := described(t, api.Local(operator))
	if status, body := call(t, h, "POST", "/v1/connections", dataCenterConnection); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		call(t, h, "DELETE", "/v1/connections/dc", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
	}()
	<-revoking
	if err := api.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting while an act is under way: %v", err)
	}
	close(goOn)
	if err := api.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := store.Directory().Connection("dc"); ok {
		t.Error("the grant is revoked, and the connection still there")
	}
	<-answered
	all := tr.records(t)
	if r := all[len(all)-1]; r.Operation != "admin.connection.remove" || r.Decision != audit.DecisionAllow || r.Code != "" {
		t.Errorf("record %+v", r)
	}

	// Nothing is begun for somebody who has left before.
	status, answer := call(t, h, "POST", "/v1/connections", basicConnection, func(r *http.Request) { *r = *r.WithContext(ctx) })
	if wantCode(t, answer, admin.CodeUnavailable); status != 503 || len(store.Directory().Connections()) > 0 {
		t.Errorf("%d", status)
	}
}

// What somebody puts in the place of a connection stays when that is removed.
func TestRemovalIsOfOneConnection(t *testing.T) {
	store, _ := openStore(t)
	o := options(t, store)
	o.RedirectURL = gateRedirect
	var h http.Handler
	o.Consenter = leaving{meanwhile: func() {
		if err := storetest.Remove(t.Context(), store, "dc"); err != nil {
			t.Error(err)
		}
		call(t, h, "POST", "/v1/connections", strings.Replace(basicConnection, "globex", "dc", 1))
	}}
	h = local(t, o)
	call(t, h, "POST", "/v1/connections", dataCenterConnection)
	status, body := call(t, h, "DELETE", "/v1/connections/dc", "")
	if wantCode(t, body, admin.CodeConflict); status != 409 {
		t.Errorf("%d", status)
	}
	if c, ok := store.Directory().Connection("dc"); !ok || c.CredentialKind != tokenstore.KindBasic {
		t.Error("the other connection was removed")
	}
}
