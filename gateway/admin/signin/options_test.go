package signin_test

import (
	"strings"
	"testing"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/act"
	"jiragate/gateway/admin/signin"
	"jiragate/tokenstore/secret"
)

func TestOptions(t *testing.T) {
	good := func() signin.Options {
		return signin.Options{
			Secure: true, Acts: &act.Journal{}, Show: show,
			Provider: &signin.Provider{
				Issuer: "https://id.example", ClientID: "x", RedirectURL: "https://console.example/console/signin/callback",
				Roles: map[string]admin.Role{"a": admin.RoleAdmin},
			},
		}
	}
	for want, change := range map[string]func(o *signin.Options){
		"":                                       func(*signin.Options) {},
		"Acts and Show":                          func(o *signin.Options) { o.Acts = nil },
		"Show are needed":                        func(o *signin.Options) { o.Show = nil },
		"nobody could sign in":                   func(o *signin.Options) { o.Provider = nil },
		"issuer of the OpenID provider is http,": func(o *signin.Options) { o.Provider.Issuer = "http://id.example" },
		"issuer of the OpenID provider is no URL":   func(o *signin.Options) { o.Provider.Issuer = "id.example" },
		"issuer of the OpenID provider is not":      func(o *signin.Options) { o.Provider.Issuer = "ftp://id.example" },
		"issuer of the OpenID provider has a user":  func(o *signin.Options) { o.Provider.Issuer = "https://ada:hunter2@id.example" },
		"issuer of the OpenID provider has a query": func(o *signin.Options) { o.Provider.Issuer = "https://id.example?x" },
		"must be the console's address":             func(o *signin.Options) { o.Provider.RedirectURL = "https://console.example/callback" },
		"redirect URL for the OpenID provider is http": func(o *signin.Options) {
			o.Provider.RedirectURL = "http://console.example/console/signin/callback"
		},
		"don't agree on https": func(o *signin.Options) { o.Secure = false },
		"client id":            func(o *signin.Options) { o.Provider.ClientID = "" },
		"has a role":           func(o *signin.Options) { o.Provider.Roles = nil },
		`no role "root"`:       func(o *signin.Options) { o.Provider.Roles["a"] = "root" },
		`no role ""`:           func(o *signin.Options) { o.Provider.Roles["a"] = admin.RoleNone },
		`claim value ""`:       func(o *signin.Options) { o.Provider.Roles[""] = admin.RoleViewer },
	} {
		o := good()
		change(&o)
		_, err := signin.New(o)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	local := good()
	local.Secure, local.Provider.RedirectURL, local.Provider.Issuer = false, "http://127.0.0.1:8081/console/signin/callback", "http://localhost:9000/realm"
	if _, err := signin.New(local); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	if _, err := signin.New(signin.Options{Token: secret.New("x"), Acts: &act.Journal{}, Show: show}); err != nil {
		t.Errorf("with a token alone: %v", err)
	}
}
