package diagnosis_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"jiragate/gateway/diagnosis"
	"jiragate/internal/jirasim"
)

// The simulator's refusals are put together apart from this package's table.
func TestRefusalsOnTheWire(t *testing.T) {
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(sim.CAPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	token := sim.IssueGrant().AccessToken
	diagnose := func(edition diagnosis.Edition, method string) diagnosis.Reason {
		t.Helper()
		url := sim.DataCenterURL() + "/rest/api/2/issue/ACME-1"
		if edition == diagnosis.Cloud {
			url = sim.APIURL() + "/ex/jira/" + sim.CloudID() + "/rest/api/3/issue/ACME-1"
		}
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(jirasim.DefaultUsername, jirasim.DefaultPassword)
		if edition == diagnosis.Cloud {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return diagnosis.Of(edition, res.StatusCode, res.Header, body)
	}
	for _, row := range []struct {
		fault  jirasim.Fault
		method string
		cloud  diagnosis.Reason
		dc     diagnosis.Reason
	}{
		{jirasim.Fault{Kind: jirasim.IPRefused}, "GET", diagnosis.IPRefused, diagnosis.FirewallRefused},
		{jirasim.Fault{Kind: jirasim.AppRefused}, "GET", diagnosis.AppRefused, ""},
		{jirasim.Fault{Kind: jirasim.SiteUnavailable}, "POST", diagnosis.SiteUnavailable, diagnosis.SiteUnavailable},
		{jirasim.Fault{Kind: jirasim.BasicAuthDisabled}, "GET", "", diagnosis.BasicAuthDisabled},
		{jirasim.Fault{Kind: jirasim.PermissionRefused}, "DELETE", diagnosis.PermissionRefused, diagnosis.PermissionRefused},
		{jirasim.Fault{Kind: jirasim.PermissionRefused, Value: "Nein."}, "DELETE", "", diagnosis.PermissionRefused},
		{jirasim.Fault{Kind: jirasim.RateLimit}, "GET", diagnosis.RateLimited, diagnosis.RateLimited},
		{jirasim.Fault{Kind: jirasim.ErrorStatus}, "GET", "", ""},
		{jirasim.Fault{Kind: jirasim.HTMLPage}, "GET", "", ""},
	} {
		t.Run(string(row.fault.Kind), func(t *testing.T) {
			defer sim.Fault(row.fault)()
			if got := diagnose(diagnosis.Cloud, row.method); got != row.cloud {
				t.Errorf("Cloud: %q, want %q", got, row.cloud)
			}
			if got := diagnose(diagnosis.DataCenter, row.method); got != row.dc {
				t.Errorf("Data Center: %q, want %q", got, row.dc)
			}
		})
	}
	t.Run("allowlist", func(t *testing.T) {
		defer sim.AllowFrom()
		sim.AllowFrom(netip.MustParsePrefix("192.0.2.1/32"))
		if got := diagnose(diagnosis.Cloud, "GET"); got != diagnosis.IPRefused {
			t.Errorf("Cloud: %q", got)
		}
		if got := diagnose(diagnosis.DataCenter, "GET"); got != diagnosis.FirewallRefused {
			t.Errorf("Data Center: %q", got)
		}
	})
}
