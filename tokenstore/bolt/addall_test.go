package bolt_test

import (
	"errors"
	"testing"

	"jiragate/tokenstore"
	"jiragate/tokenstore/records"
	"jiragate/tokenstore/storetest"
)

func TestAddAll(t *testing.T) {
	s := mustOpen(t, options(t))
	entries := func() []records.Entry {
		return []records.Entry{
			{Connection: storetest.CloudConnection("acme"), Credential: storetest.OAuth2("1")},
			{Connection: storetest.DataCenterConnection("tyrell"), Credential: storetest.Basic("hunter2")},
		}
	}
	client := func(name string, connections ...string) tokenstore.Client {
		return tokenstore.Client{Name: name, TokenSHA256: storetest.Token(name), Connections: connections}
	}

	for name, bad := range map[string]struct {
		connections []records.Entry
		client      tokenstore.Client
		want        error
	}{
		"a client of a connection that isn't there": {entries(), client("billing", "acme", "nowhere"), tokenstore.ErrNotFound},
		"a connection twice":                        {append(entries(), entries()[0]), client("billing"), tokenstore.ErrExists},
		"a client without a name":                   {entries(), client(""), tokenstore.ErrInvalid},
		"a credential of another kind":              {[]records.Entry{{Connection: storetest.CloudConnection("acme"), Credential: storetest.Basic("x")}}, client("billing"), tokenstore.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.AddAll(t.Context(), bad.connections, []tokenstore.Client{client("reports"), bad.client}); !errors.Is(err, bad.want) {
				t.Errorf("error %v, want %v", err, bad.want)
			}
			if d := s.Directory(); len(d.Connections())+len(d.Clients()) != 0 {
				t.Error("some of it was stored all the same")
			}
		})
	}

	must(t, s.AddAll(t.Context(), entries(), []tokenstore.Client{client("reports", "tyrell", "acme", "tyrell"), client("billing")}))
	for id, want := range map[string]tokenstore.Credential{"acme": storetest.OAuth2("1"), "tyrell": storetest.Basic("hunter2")} {
		want.Generation = storetest.FirstGeneration(s, id)
		wantCredential(t, s, id, want)
	}
	d := s.Directory()
	c, ok := d.ClientByTokenSHA256(storetest.Token("reports"))
	if !ok || len(c.Connections) != 2 || !c.Granted("acme") {
		t.Errorf("client %+v", c)
	}
	if a, _ := d.Connection("acme"); a == nil || a.State != tokenstore.StateActive {
		t.Errorf("connection %+v", a)
	}
	must(t, s.Check(t.Context()))
}
