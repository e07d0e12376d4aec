package gateway

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jiragate/tokenstore"
)

// Clients of the fuzz targets below, by name: their tokens, "" for none.
var identified = map[string]string{
	"billing": "jgc_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	"reports": "brought:with-a-colon",
	"station": "",
}

func identifiedDirectory() *tokenstore.Directory {
	var clients []tokenstore.Client
	for name, token := range identified {
		c := tokenstore.Client{Name: name, Connections: []string{"acme"}}
		if token != "" {
			c.TokenSHA256 = tokenstore.TokenSHA256(token)
		} else {
			c.CertificateSANs = []string{"dns:station.example", "uri:spiffe://example/station"}
		}
		clients = append(clients, c)
	}
	return tokenstore.NewDirectory(nil, clients)
}

// FuzzIdentify: whoever is identified has shown the whole token of that client, read as
// net/http reads the same field of a server; whoever shows it is identified, in the one
// spelling that base64 has; and no refusal repeats what was shown.
func FuzzIdentify(f *testing.F) {
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	billing, reports := identified["billing"], identified["reports"]
	for _, field := range []string{
		"Basic " + encoded("billing:"+billing), "basic  " + encoded("billing:"+billing) + " ", "Basic " + encoded("billing+acme:"+billing),
		"Basic " + encoded("reports:"+reports), "Basic " + encoded("reports:"+billing), "Basic " + encoded("station:"), "Basic " + encoded("+acme:"+billing),
		"Basic " + strings.TrimRight(encoded("billing:"+billing), "="), "Bearer " + billing, "BEARER " + reports, "Bearer", "Bearer ", "Digest " + billing, "",
	} {
		f.Add(field, "", false)
	}
	f.Add("billing+acme:"+billing, "acme", true)
	f.Add("billing+acme:"+billing, "umbrella", true)
	f.Add("billing++acme:"+billing, "", true)
	f.Add("reports:"+reports, "", true)
	dir := identifiedDirectory()
	f.Fuzz(func(t *testing.T, field, connection string, basic bool) {
		if basic { // what is given to Basic is easier to change than its base64
			field = "Basic " + encoded(field)
		}
		r := &http.Request{Header: http.Header{"Proxy-Authorization": {field}}}
		if connection != "" {
			r.Header.Set(connectionField, connection)
		}
		id, refused := identify(dir, r, nil)
		if (refused == nil) != (id.client != nil) {
			t.Fatalf("%q: client %v and refusal %v", field, id.client, refused)
		}

		user, token, isBasic := (&http.Request{Header: http.Header{"Authorization": {singleSpaced(field)}}}).BasicAuth()
		name, chosen, _ := strings.Cut(user, "+")
		bearer, isBearer := bearerOf(field)
		switch want, known := identified[name]; {
		case refused == nil && isBasic:
			if !known || want == "" || token != want || id.client.Name != name || chosen != "" && id.chosen != chosen {
				t.Errorf("%q identifies %s, which chooses %q", field, id.client.Name, id.chosen)
			}
		case refused == nil:
			if want := identified[id.client.Name]; !isBearer || want == "" || bearer != want {
				t.Errorf("%q identifies %s", field, id.client.Name)
			}
		case isBasic && known && want != "" && token == want && basic && (chosen == "" || connection == "" || connection == chosen):
			t.Errorf("%q does not identify %s", field, name)
		}
		if refused == nil {
			if !id.byToken || !id.shown || id.made != (id.client.Name == "billing") {
				t.Errorf("%q: %+v", field, id)
			}
			return
		}
		for _, secret := range []string{billing, reports} {
			if strings.Contains(refused.detail, secret) {
				t.Errorf("the refusal repeats the token: %q", refused.detail)
			}
		}
	})
}

// singleSpaced has one space behind the scheme, where RFC 9110 section 11.4 allows more
// and net/http one, and none at its end.
func singleSpaced(field string) string {
	scheme, value, found := strings.Cut(field, " ")
	if !found {
		return field
	}
	return scheme + " " + strings.Trim(value, " ")
}

func bearerOf(field string) (token string, ok bool) {
	scheme, value, _ := strings.Cut(field, " ")
	return strings.Trim(value, " "), strings.EqualFold(scheme, "Bearer")
}

// FuzzIdentifyByCertificate: a certificate identifies a client if one of its names is, byte
// for byte but for the case of a URI's scheme (RFC 3986 section 3.1), one of that client's,
// and none is another's. What is fuzzed are two names of it, each as DNS name or as URI,
// beside the common name, which counts for nothing.
func FuzzIdentifyByCertificate(f *testing.F) {
	for _, names := range [][2]string{
		{"station.example", ""}, {"", "spiffe://example/station"}, {"STATION.example", ""}, {"station.example.", ""},
		{"*.example", "spiffe://example/station?"}, {"other.example", "spiffe://example/%73tation"}, {"station.example\x00.evil.example", ""},
		{"station.example", "spiffe://example/other"}, {"0", "spiFfe://example/other"}, {"", "spiffe://Example/other"}, {"both.example", ""}, {"other", ""}, {"other", "spiffe://example/station"},
	} {
		f.Add(names[0], names[1])
	}
	owners := map[string][]string{
		"dns:station.example": {"station"}, "uri:spiffe://example/station": {"station"},
		"uri:spiffe://example/other": {"other"}, "dns:both.example": {"other", "station"},
	}
	sans := map[string][]string{}
	for san, names := range owners {
		for _, name := range names {
			sans[name] = append(sans[name], san)
		}
	}
	var clients []tokenstore.Client
	for name, list := range sans {
		clients = append(clients, tokenstore.Client{Name: name, CertificateSANs: list})
	}
	dir := tokenstore.NewDirectory(nil, clients)
	for _, c := range clients { // its own name always stands for it
		owners["dns:"+c.Name] = []string{c.Name}
	}
	f.Fuzz(func(t *testing.T, dns, uri string) {
		leaf := &x509.Certificate{}
		leaf.Subject.CommonName = "station.example"
		found := map[string]bool{}
		if dns != "" {
			leaf.DNSNames = []string{dns}
			for _, name := range owners["dns:"+dns] {
				found[name] = true
			}
		}
		if u, err := url.Parse(uri); err == nil && uri != "" {
			leaf.URIs = []*url.URL{u}
			scheme, rest, _ := strings.Cut(uri, ":")
			if uri = strings.ToLower(scheme) + ":" + rest; u.String() == uri { // otherwise the client's name is another spelling
				for _, name := range owners["uri:"+uri] {
					found[name] = true
				}
			}
		}
		id, refused := identify(dir, &http.Request{Header: http.Header{}}, []*x509.Certificate{leaf})
		switch {
		case refused != nil && len(found) == 1:
			t.Errorf("%q and %q identify nobody", dns, uri)
		case refused == nil && (len(found) != 1 || !found[id.client.Name]):
			t.Errorf("%q and %q identify %s", dns, uri, id.client.Name)
		case refused == nil && (id.byToken || id.client.TokenSHA256 != [sha256.Size]byte{}):
			t.Errorf("a certificate has become a token: %+v", id)
		}
	})
}
