// Command foreignserver is an OAuth 2.0 authorization server that owes nothing to
// jiragate: ory/fosite with its own storage, composed of its authorization code,
// PKCE, refresh and revocation handlers. Refresh tokens rotate, and the reuse of a
// replaced one, for which there is no leeway, ends the grant.
//
// It serves two providers over TLS on 127.0.0.1. One has the paths of Atlassian's,
// and takes JSON for a form as Atlassian does; the other has those of a Jira Data
// Center below /jira. Whoever asks for consent gets it at once. A line of JSON on
// standard output tells what a client needs to know, and the end of standard input
// ends the program.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// client is the one client of both providers.
type client struct {
	URL          string `json:"url"`
	CA           string `json:"ca"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURL  string `json:"redirect_url"`
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	c := client{ClientID: "the-client", ClientSecret: rand.Text(), RedirectURL: "https://gateway.example/oauth/callback"}
	cloud, err := newProvider(c, []string{"offline_access"}, "read:jira-work", "write:jira-work", "read:jira-user", "offline_access")
	if err != nil {
		return err
	}
	dataCenter, err := newProvider(c, []string{}, "READ", "WRITE")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", cloud.authorize)
	mux.HandleFunc("POST /oauth/token", fromJSON(cloud.token))
	mux.HandleFunc("GET /oauth/token/accessible-resources", cloud.resources)
	mux.HandleFunc("POST /revoke", cloud.revoke)
	mux.HandleFunc("GET /jira/rest/oauth2/latest/authorize", dataCenter.authorize)
	mux.HandleFunc("POST /jira/rest/oauth2/latest/token", dataCenter.token)
	mux.HandleFunc("POST /jira/rest/oauth2/latest/revoke", dataCenter.revoke)

	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	c.URL = "https://" + listener.Addr().String()
	c.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	go func() {
		// What a client does wrong is the tests' business.
		server := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
		log.Fatal(server.Serve(listener))
	}()
	if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// provider is fosite, for one client.
type provider struct{ fosite.OAuth2Provider }

func newProvider(c client, refreshable []string, scopes ...string) (provider, error) {
	hashed, err := bcrypt.GenerateFromPassword([]byte(c.ClientSecret), bcrypt.MinCost)
	if err != nil {
		return provider{}, err
	}
	store := storage.NewMemoryStore()
	store.Clients[c.ClientID] = &fosite.DefaultClient{
		ID: c.ClientID, Secret: hashed, RedirectURIs: []string{c.RedirectURL}, Scopes: scopes,
		ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"}, Audience: []string{"api.atlassian.com"},
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return provider{}, err
	}
	config := &fosite.Config{
		GlobalSecret: secret, EnforcePKCE: true, RefreshTokenScopes: refreshable, HashCost: bcrypt.MinCost,
		AccessTokenLifespan: time.Hour, RefreshTokenLifespan: 90 * 24 * time.Hour,
		ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
	}
	return provider{compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2PKCEFactory,
		compose.OAuth2TokenRevocationFactory, compose.OAuth2TokenIntrospectionFactory)}, nil
}

// authorize grants what is asked for.
func (p provider) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := p.NewAuthorizeRequest(ctx, r)
	if err != nil {
		p.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	for _, audience := range request.GetRequestedAudience() {
		request.GrantAudience(audience)
	}
	response, err := p.NewAuthorizeResponse(ctx, request, &fosite.DefaultSession{Subject: "admin"})
	if err != nil {
		p.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	p.WriteAuthorizeResponse(ctx, w, request, response)
}

func (p provider) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := p.NewAccessRequest(ctx, r, &fosite.DefaultSession{})
	if err != nil {
		p.WriteAccessError(ctx, w, request, err)
		return
	}
	response, err := p.NewAccessResponse(ctx, request)
	if err != nil {
		p.WriteAccessError(ctx, w, request, err)
		return
	}
	p.WriteAccessResponse(ctx, w, request, response)
}

func (p provider) revoke(w http.ResponseWriter, r *http.Request) {
	p.WriteRevocationResponse(r.Context(), w, p.NewRevocationRequest(r.Context(), r))
}

// resources lists the one site of every grant, and says so of valid tokens only.
func (p provider) resources(w http.ResponseWriter, r *http.Request) {
	_, request, err := p.IntrospectToken(r.Context(), fosite.AccessTokenFromRequest(r), fosite.AccessToken, &fosite.DefaultSession{})
	if err != nil {
		http.Error(w, `{"code":401,"message":"Unauthorized"}`, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode([]map[string]any{{ // the client may be gone
		"id": "11111111-2222-3333-4444-555555555555", "url": "https://acme.atlassian.net", "name": "acme",
		"scopes": request.GetGrantedScopes(),
	}})
}

// fromJSON hands a JSON object of strings to next as the form that fosite reads.
func fromJSON(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var object map[string]string
		if r.Header.Get("Content-Type") != "application/json" || json.NewDecoder(r.Body).Decode(&object) != nil {
			http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
			return
		}
		form := url.Values{}
		for name, value := range object {
			form.Set(name, value)
		}
		out := r.Clone(context.WithoutCancel(r.Context()))
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		encoded := form.Encode()
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader([]byte(encoded))), int64(len(encoded))
		next(w, out)
	}
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
