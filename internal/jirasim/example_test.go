package jirasim_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"jiragate/internal/jirasim"
)

func Example() {
	sim, err := jirasim.Start(jirasim.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sim.Close()

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(sim.CAPEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()

	myself := func() {
		r, _ := http.NewRequest("GET", sim.APIURL()+"/ex/jira/"+sim.CloudID()+"/rest/api/3/myself", nil)
		r.Header.Set("Authorization", "Bearer "+sim.IssueGrant("read:jira-user").AccessToken)
		res, err := transport.RoundTrip(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
		fmt.Printf("%d %q\n", res.StatusCode, res.Header.Get("RateLimit-Reason"))
	}
	myself()
	sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, PathPrefix: "/rest/api/3/myself", Times: 1})
	myself()
	myself()
	for _, r := range sim.Requests() {
		fmt.Println(r.Method, r.CredentialAccepted, r.Faults)
	}
	// Output:
	// 200 ""
	// 429 "jira-burst-based"
	// 200 ""
	// GET true []
	// GET false [rate-limit]
	// GET true []
}
