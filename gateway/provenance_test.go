package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jiragate/gateway"
)

// FuzzProvenance: whatever the gateway before this one says of a connection, it is refused
// and closed, or what was said is a connection to the listener, or a CONNECT that this
// gateway would have let in: by the token of its client, to a Jira that the client has.
func FuzzProvenance(f *testing.F) {
	w := newWorld(f, change{})
	identified := http.Header{"Proxy-Authorization": {basic("billing", w.token)}}
	for _, p := range []gateway.Provenance{
		{},
		{Private: true, Certificates: [][]byte{[]byte("DER?")}},
		{Connect: &gateway.Connect{Target: site + ":443", Host: site + ":443", Minor: 1, Header: identified}},
		{Connect: &gateway.Connect{Target: site + ":443", Header: http.Header{"Proxy-Authorization": {basic("billing", "wrong")}}}},
		{Connect: &gateway.Connect{Target: "elsewhere.example:443", Minor: -1, Header: identified}},
		{Connect: &gateway.Connect{Target: site, Minor: 9, Header: identified}},
	} {
		about, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(about)
	}
	f.Add([]byte(`{"peer":"192.0.2.1:1","connect":{"header":{"proxy-authorization":["Basic"]}}}`))
	f.Fuzz(func(t *testing.T, about []byte) {
		var p gateway.Provenance
		if json.Unmarshal(about, &p) != nil {
			return
		}
		near, far := net.Pipe()
		defer near.Close()
		err := w.gateway.Adopt(p, far)
		if err != nil {
			if _, end := near.Read(make([]byte, 1)); !errors.Is(end, io.EOF) {
				t.Errorf("%s is refused (%v), and its connection: %v", about, err, end)
			}
			if strings.Contains(err.Error(), w.token) {
				t.Errorf("the error tells the token: %v", err)
			}
			return
		}
		if c := p.Connect; c != nil && (!strings.EqualFold(c.Target, site+":443") || !slices.ContainsFunc(c.Header["Proxy-Authorization"], func(field string) bool { return field != "" })) {
			t.Errorf("%s is adopted", about)
		}
	})
}
