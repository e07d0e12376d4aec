package demo

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

// A browser on this machine takes the link to the consent of the customer who is
// waited for, and comes back with it.
func TestConsent(t *testing.T) {
	on := listeners{free("127.0.0.1:0"), free("127.0.0.1:0")}
	s := set(t, on)
	s.sim.SetConsent(jirasim.ConsentApprove)
	answer, err := s.command(t.Context(), "connection", "consent", "acme-labs", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var invited struct {
		ConsentURL string `json:"consent_url"`
	}
	if err := json.Unmarshal(answer, &invited); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(invited.ConsentURL, "http://"+on.admin+"/oauth/") {
		t.Errorf("the link does not lead to the admin listener %s", on.admin)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.sim.CAPEM())
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Jar: jar}).Get(invited.ConsentURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := s.command(t.Context(), "connection", "show", "acme-labs", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(shown), `"active"`) {
		t.Errorf("status %d, the connection is\n%s\nthe page was\n%s", response.StatusCode, shown, page)
	}
}

func TestListeners(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if got := free(taken.Addr().String()); got == taken.Addr().String() || strings.HasSuffix(got, ":0") {
		t.Errorf("instead of the address that is taken: %s", got)
	}
	for admin, want := range map[string]string{"127.0.0.1:8081": "http://127.0.0.1:8081/oauth/callback", "127.0.0.1:0": ""} {
		if got := (listeners{admin: admin}).redirectURL(); got != want {
			t.Errorf("%s: redirect URL %q, want %q", admin, got, want)
		}
	}
}
