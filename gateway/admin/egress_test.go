package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/egress"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/egress/register"
	"jiragate/tokenstore"
)

// egressOptions are those of a gateway with two addresses, the second by a proxy.
func egressOptions(t *testing.T, o admin.Options) admin.Options {
	t.Helper()
	addresses, err := egress.ParseAddresses("52.54.159.237=10.0.1.10,52.73.143.252=https://user:S3cret@proxy.example:9294")
	if err != nil {
		t.Fatal(err)
	}
	r, err := register.Open(filepath.Join(t.TempDir(), "egress-addresses.json"), "us")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Observe([]netip.Addr{addresses[0].Public}, time.Now()); err != nil {
		t.Fatal(err)
	}
	o.Egress = admin.Egress{
		Addresses: addresses,
		Register:  r,
		Health: func() []egress.Health {
			return []egress.Health{{Public: addresses[0].Public, InUse: true, Up: true}, {Public: addresses[1].Public}}
		},
	}
	return o
}

func aStore(t *testing.T) tokenstore.Store {
	t.Helper()
	store, _ := openStore(t)
	return store
}

func TestEgressIsShown(t *testing.T) {
	o := egressOptions(t, options(t, aStore(t)))
	o.Egress.Verified = func() *echo.Report {
		return &echo.Report{Addresses: []echo.AddressReport{{Public: netip.MustParseAddr("52.54.159.237"), Verdict: echo.VerdictVerified}}}
	}
	h := local(t, o)
	if status, body := call(t, h, "POST", "/v1/egress/addresses/52.54.159.240/announce", `{"effective": "2030-01-01T00:00:00Z"}`); status != 200 {
		t.Fatalf("announcing: %d %s", status, body)
	}
	status, body := call(t, h, "GET", "/v1/egress", "")
	var view admin.EgressView
	if status != 200 || json.Unmarshal([]byte(body), &view) != nil || len(view.Addresses) != 3 || len(view.History) != 2 {
		t.Fatalf("%d %s", status, body)
	}
	local, proxied, coming := view.Addresses[0], view.Addresses[1], view.Addresses[2]
	if local.Local != "10.0.1.10" || local.State != "in_use" || !local.Configured || local.Up == nil || !*local.Up || local.Verified != "verified" {
		t.Errorf("bound locally: %+v", local)
	}
	if proxied.Proxy != "https://proxy.example:9294" || proxied.State != "unpublished" || proxied.Up == nil || *proxied.Up {
		t.Errorf("by a proxy: %+v", proxied)
	}
	if coming.Public != "52.54.159.240" || coming.State != "announced" || coming.Configured || coming.From == nil || coming.Up != nil {
		t.Errorf("announced: %+v", coming)
	}
	if strings.Contains(body, "user") {
		t.Errorf("the credentials of the proxy are shown: %s", body)
	}
}

func TestAddressesThatCannotBeAnnounced(t *testing.T) {
	h := local(t, egressOptions(t, options(t, aStore(t))))
	for _, tt := range []struct {
		path, body string
		status     int
	}{
		{"/v1/egress/addresses/255.255.255.255/announce", `{}`, 400},
		{"/v1/egress/addresses/240.0.0.1/announce", `{}`, 400},
		{"/v1/egress/addresses/::ffff:1.2.3.4/announce", `{}`, 400},
		{"/v1/egress/addresses/egress.example/announce", `{}`, 400},
		{"/v1/egress/addresses/52.54.159.240/announce", `{"effective": "0001-01-01T00:00:00Z"}`, 400},
		{"/v1/egress/addresses/52.54.159.240/announce", `{"effective": "2020-01-01T00:00:00Z"}`, 400},
		{"/v1/egress/addresses/52.54.159.240/announce", `{"from": "2030-01-01T00:00:00Z"}`, 400},
		{"/v1/egress/addresses/52.54.159.237/announce", `{}`, 409}, // in use already
		{"/v1/egress/addresses/52.54.159.241/retire", `{}`, 404},
	} {
		if status, body := call(t, h, "POST", tt.path, tt.body); status != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.path, tt.body, status, body, tt.status)
		}
	}
}

// Verification calls others from the addresses that customers let in: none of them is
// a customer.
func TestVerifyCallsNoCustomer(t *testing.T) {
	o := egressOptions(t, options(t, aStore(t)))
	var asked []string
	o.Egress.Verify = func(_ context.Context, services []string) (*echo.Report, error) {
		asked = append(asked, services...)
		return &echo.Report{Addresses: []echo.AddressReport{{
			Public: netip.MustParseAddr("52.54.159.237"), Verdict: echo.VerdictUnknown,
			Answers: []echo.Answer{{Service: "https://echo.example/", Outcome: echo.OutcomeFailed, Err: errors.New("no answer")}},
		}}}, context.DeadlineExceeded // what there is of a round whose time was over
	}
	h := local(t, o)
	if status, body := call(t, h, "POST", "/v1/connections", basicConnection); status != 201 {
		t.Fatalf("adding: %d %s", status, body)
	}
	for _, service := range []string{
		"https://jira.globex.com/rest/api/2/myself", "https://JIRA.globex.com./", "https://jira.globex.com:8443/",
		"https://api.atlassian.com/me", "https://auth.atlassian.com/", "https://anything.atlassian.net/",
		"http://echo.example/", "https://user:S3cret@echo.example/", "https://a.example/,https://b.example/", "",
	} {
		body, err := json.Marshal(admin.VerifyRequest{Services: []string{service}})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := call(t, h, "POST", "/v1/egress/verify", string(body)); status != 400 {
			t.Errorf("%s: %d %s", service, status, answer)
		}
	}
	if len(asked) != 0 {
		t.Errorf("asked %v", asked)
	}
	status, body := call(t, h, "POST", "/v1/egress/verify", `{"services": ["https://echo.example/"]}`)
	if status != 200 || !strings.Contains(body, "no answer") || !slices.Equal(asked, []string{"https://echo.example/"}) {
		t.Errorf("%d %s, asked %v", status, body, asked)
	}
}

// Where there is no key to sign with, nothing is published.
func TestNothingIsPublishedUnsigned(t *testing.T) {
	h := local(t, egressOptions(t, options(t, aStore(t))))
	for _, path := range []string{"/v1/egress/publication", "/v1/audit/key"} {
		status, body := call(t, h, "GET", path, "")
		if wantCode(t, body, admin.CodeUnavailable); status != 503 {
			t.Errorf("%s: %d", path, status)
		}
	}
}
