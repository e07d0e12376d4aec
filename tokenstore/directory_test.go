package tokenstore_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
)

func TestDirectoryLookups(t *testing.T) {
	sum := tokenstore.TokenSHA256("token of reports")
	d := tokenstore.NewDirectory(
		[]tokenstore.Connection{dataCenter(), cloud()},
		[]tokenstore.Client{
			{Name: "reports", TokenSHA256: sum, Connections: []string{"umbrella", "acme"}, CertificateSANs: []string{"uri:spiffe://a/b"}},
			{Name: "billing", CertificateSANs: []string{"dns:reports", "uri:spiffe://a/b"}},
		})

	if c, ok := d.Connection("acme"); !ok || c.SiteURL != "https://acme.atlassian.net" {
		t.Errorf("connection acme: %v, %v", c, ok)
	}
	if _, ok := d.Connection("ACME"); ok {
		t.Error("ids are not case sensitive")
	}
	if c, ok := d.ClientByTokenSHA256(sum); !ok || c.Name != "reports" {
		t.Errorf("client by token: %v, %v", c, ok)
	}
	if c, ok := d.ClientByTokenSHA256(tokenstore.TokenSHA256("guess")); ok {
		t.Errorf("client by an unknown token: %v", c)
	}
	if c, ok := d.ClientByTokenSHA256([32]byte{}); ok {
		t.Errorf("client by no token: %v", c)
	}
	reports, _ := d.Client("reports")
	if !reports.Granted("acme") || !reports.Granted("umbrella") || reports.Granted("acm") || reports.Granted("") {
		t.Error("the grants of reports are wrong")
	}
	if _, ok := d.Client("nobody"); ok {
		t.Error("there is a client nobody")
	}

	for san, want := range map[string][]string{
		"dns:reports":      {"billing", "reports"}, // ambiguous: for the caller to refuse
		"dns:billing":      {"billing"},
		"uri:spiffe://a/b": {"billing", "reports"},
		"dns:REPORTS":      nil,
		"reports":          nil,
		"":                 nil,
	} {
		var got []string
		for _, c := range d.ClientsByCertificateSAN(san) {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("clients with certificate name %q: %q, want %q", san, got, want)
		}
	}
	if c := d.Connections(); len(c) != 2 || c[0].ID != "acme" || c[1].ID != "umbrella" {
		t.Errorf("connections %v", c)
	}
	if c := d.Clients(); len(c) != 2 || c[0].Name != "billing" || c[1].Name != "reports" {
		t.Errorf("clients %v", c)
	}
}

func TestASharedTokenIdentifiesNobody(t *testing.T) {
	sum := tokenstore.TokenSHA256("shared")
	for n := 2; n <= 4; n++ {
		var clients []tokenstore.Client
		for i := range n {
			clients = append(clients, tokenstore.Client{Name: fmt.Sprint("c", i), TokenSHA256: sum})
		}
		if c, ok := tokenstore.NewDirectory(nil, clients).ClientByTokenSHA256(sum); ok {
			t.Errorf("with %d clients the shared token is that of %s", n, c.Name)
		}
	}
}

func TestDirectoryKeepsNothingOfItsInput(t *testing.T) {
	connections := []tokenstore.Connection{cloud()}
	clients := []tokenstore.Client{{Name: "reports", Connections: []string{"acme"}, CertificateSANs: []string{"dns:a"}}}
	d := tokenstore.NewDirectory(connections, clients)

	connections[0].Scopes[0] = "changed"
	connections[0].State = tokenstore.StateDisabled
	clients[0].Connections[0] = "changed"
	clients[0].CertificateSANs[0] = "changed"

	c, _ := d.Connection("acme")
	if c.Scopes[0] == "changed" || c.State != tokenstore.StateActive {
		t.Error("changing the input changes a connection")
	}
	r, _ := d.Client("reports")
	if !r.Granted("acme") || r.CertificateSANs[0] != "dns:a" {
		t.Error("changing the input changes a client")
	}
}

func TestEmptyDirectory(t *testing.T) {
	d := tokenstore.NewDirectory(nil, nil)
	if len(d.Connections()) != 0 || len(d.Clients()) != 0 {
		t.Error("it is not empty")
	}
	if _, ok := d.ClientByTokenSHA256([32]byte{}); ok {
		t.Error("it knows a client")
	}
}

// Granted agrees with the plain reading of the grants, whatever they are.
func TestGrantedIsMembership(t *testing.T) {
	id := rapid.StringMatching(`[a-c][a-c0-1-]{0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		grants := rapid.SliceOf(id).Draw(t, "grants")
		d := tokenstore.NewDirectory(nil, []tokenstore.Client{{Name: "c", Connections: grants}})
		c, _ := d.Client("c")
		probe := id.Draw(t, "probe")
		if got, want := c.Granted(probe), slices.Contains(grants, probe); got != want {
			t.Fatalf("Granted(%q) is %v, want %v, of %q", probe, got, want, grants)
		}
		unsorted := tokenstore.Client{Connections: grants}
		if unsorted.Granted(probe) && !slices.Contains(grants, probe) {
			t.Fatalf("unsorted grants %q give %q away", grants, probe)
		}
	})
}

// fleet is a directory as large as one that a busy region has.
func fleet(connections, clients int) (*tokenstore.Directory, [32]byte) {
	var cs []tokenstore.Connection
	var ids []string
	for i := range connections {
		c := cloud()
		c.ID = fmt.Sprintf("customer-%05d", i)
		cs = append(cs, c)
		ids = append(ids, c.ID)
	}
	var cl []tokenstore.Client
	for i := range clients {
		cl = append(cl, tokenstore.Client{
			Name: fmt.Sprintf("service-%d", i), TokenSHA256: tokenstore.TokenSHA256(fmt.Sprint(i)), Connections: ids,
		})
	}
	return tokenstore.NewDirectory(cs, cl), tokenstore.TokenSHA256("7")
}

func TestLookupsDoNotAllocate(t *testing.T) {
	d, sum := fleet(1000, 10)
	allocs := testing.AllocsPerRun(100, func() {
		c, _ := d.ClientByTokenSHA256(sum)
		c.Granted("customer-00777")
		d.Client("service-3")
		d.ClientsByCertificateSAN("dns:service-3")
		n, _ := d.Connection("customer-00777")
		n.Host()
		n.ContextPath()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkDirectory(b *testing.B) {
	d, sum := fleet(5000, 50)
	b.Run("ClientByTokenSHA256", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.ClientByTokenSHA256(sum)
		}
	})
	b.Run("Connection", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Connection("customer-03777")
		}
	})
	b.Run("Granted", func(b *testing.B) {
		b.ReportAllocs()
		c, _ := d.Client("service-7")
		for b.Loop() {
			c.Granted("customer-03777")
		}
	})
}
