package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/signin"
	"jiragate/tokenstore/secret"
)

const (
	oidcClient = "jiragate console"
	oidcSecret = "canary-oidc-client-secret"
)

// person is somebody whom the provider knows.
type person struct{ name, email, role string }

// provider is an OpenID provider at which whoever is its person says yes at once.
type provider struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey
	back   string

	mu     sync.Mutex
	person person
	codes  map[string]grantedCode
}

type grantedCode struct {
	person person
	nonce  string
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, codes: map[string]grantedCode{}}
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

// become sets who sits in front of the browser that comes next.
func (p *provider) become(who person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person = who
}

func (p *provider) options() *signin.Provider {
	roots := x509.NewCertPool()
	roots.AddCert(p.server.Certificate())
	return &signin.Provider{
		Issuer: p.server.URL, Name: "Example", ClientID: oidcClient, ClientSecret: secret.New(oidcSecret), RedirectURL: p.back, Roots: roots,
		Roles: map[string]admin.Role{"viewer": admin.RoleViewer, "compliance": admin.RoleCompliance, "admin": admin.RoleAdmin},
	}
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		p.reply(w, map[string]any{
			"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	case "/keys":
		p.reply(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	case "/authorize":
		code := rand.Text()
		p.codes[code] = grantedCode{p.person, r.FormValue("nonce")}
		http.Redirect(w, r, p.back+"?"+url.Values{"code": {code}, "state": {r.FormValue("state")}}.Encode(), http.StatusSeeOther)
	case "/token":
		c, ok := p.codes[r.FormValue("code")]
		if !ok {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		now := time.Now()
		id, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": p.server.URL, "aud": oidcClient, "sub": c.person.email, "nonce": c.nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
			"name": c.person.name, "email": c.person.email, "email_verified": true, "roles": []string{c.person.role},
		}).Serialize()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p.reply(w, map[string]any{"access_token": "canary-access", "token_type": "Bearer", "id_token": id})
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
