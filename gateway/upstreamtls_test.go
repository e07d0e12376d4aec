package gateway_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// A Jira whose TLS is older than the baseline is not spoken to.
func TestUpstreamTLSKeepsToTheBaseline(t *testing.T) {
	for name, weaken := range map[string]func(*tls.Config){
		"TLS 1.1":      func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"CBC suites":   suites(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA),
		"RSA exchange": suites(tls.TLS_RSA_WITH_AES_128_GCM_SHA256),
	} {
		w := newWorld(t, change{})
		called := false
		jira := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
		jira.Config.ErrorLog = log.New(io.Discard, "", 0)
		jira.TLS = &tls.Config{}
		weaken(jira.TLS)
		jira.StartTLS()
		w.addConnection(tokenstore.Connection{
			ID: "old", Edition: policy.DataCenter, BaseURL: jira.URL, Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic,
			UpstreamCA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: jira.Certificate().Raw})),
		}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "u", Password: secret.New("old-password")})
		r := w.call(w.client("old", w.addClient("old", "old")), "GET", jira.URL+"/rest/api/2/myself", "")
		if r.StatusCode != 502 || r.problem.Code != "upstream_tls_failed" || called {
			t.Errorf("%s: %d %s, called: %v", name, r.StatusCode, r.body, called)
		}
		jira.Close()
	}
}

func suites(ids ...uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, ids }
}
