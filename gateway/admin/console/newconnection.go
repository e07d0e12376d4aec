package console

import (
	"errors"
	"net/http"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// newConnectionPage is the form of a new connection, of one of the kinds.
type newConnectionPage struct {
	Kind    connectionKind
	Kinds   []connectionKind
	Problem *admin.Problem // why the last try failed
	// These are what was entered. Secrets are to be entered again.
	ID, SiteURL, CloudID, BaseURL, Region, Username, ClientID, ConsumerKey, UpstreamCA string
}

// connectionKind is an edition with a kind of credential, as one form has it.
type connectionKind struct {
	Name    string // in addresses
	Text    string
	Edition policy.Edition
	Kind    tokenstore.CredentialKind
}

var connectionKinds = []connectionKind{
	{"cloud", "Jira Cloud", policy.Cloud, tokenstore.KindOAuth2},
	{"datacenter-oauth2", "Data Center, application link (OAuth 2.0)", policy.DataCenter, tokenstore.KindOAuth2},
	{"datacenter-oauth1", "Data Center or Server, application link (OAuth 1.0a)", policy.DataCenter, tokenstore.KindOAuth1},
	{"datacenter-basic", "Data Center or Server, user name and password", policy.DataCenter, tokenstore.KindBasic},
	{"datacenter-pat", "Data Center, personal access token", policy.DataCenter, tokenstore.KindPAT},
}

func kindOf(name string) connectionKind {
	for _, k := range connectionKinds {
		if k.Name == name {
			return k
		}
	}
	return connectionKinds[0]
}

func newConnection(v *visit) error {
	p := newConnectionPage{Kind: kindOf(v.r.URL.Query().Get("kind")), Region: v.o.Region}
	return v.newConnection(http.StatusOK, p)
}

func (v *visit) newConnection(status int, p newConnectionPage) error {
	p.Kinds = connectionKinds
	return v.show(status, "newconnection", view{Title: "Connect a customer", Section: "connections", Data: p})
}

// addConnection adds a connection. Where it waits for a consent, its page has the link.
func addConnection(v *visit) error {
	text := func(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }
	kind := kindOf(text("kind"))
	p := newConnectionPage{
		Kind: kind, ID: text("id"), SiteURL: text("site_url"), CloudID: text("cloud_id"), BaseURL: text("base_url"), Region: text("region"),
		Username: text("username"), ClientID: text("client_id"), ConsumerKey: text("consumer_key"), UpstreamCA: text("upstream_ca"),
	}
	n := admin.NewConnection{
		ID: p.ID, Edition: kind.Edition, SiteURL: p.SiteURL, CloudID: p.CloudID, BaseURL: p.BaseURL,
		Region: tokenstore.Region(p.Region), UpstreamCA: p.UpstreamCA,
	}
	if kind.Edition != policy.Cloud {
		n.Credential = v.credential(kind.Kind)
	}
	body, err := n.Encode()
	if err != nil {
		return err
	}
	var added admin.Invited
	_, err = v.ask(http.MethodPost, at("connections"), body, &added)
	var problem *admin.Problem
	switch {
	case errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusForbidden:
		p.Problem = problem
		return v.newConnection(problem.Status, p)
	case err != nil:
		return err
	case added.ConsentURL == "":
		return v.back("", "connections", added.ID)
	}
	return v.connection(http.StatusCreated, &added, nil)
}

// credential reads the credential of a Data Center from a form.
func (v *visit) credential(kind tokenstore.CredentialKind) tokenstore.Credential {
	form := v.r.PostForm
	c := tokenstore.Credential{Kind: kind}
	switch kind {
	case tokenstore.KindBasic:
		c.Username, c.Password = strings.TrimSpace(form.Get("username")), secret.New(form.Get("password"))
	case tokenstore.KindPAT:
		c.Token = secret.New(strings.TrimSpace(form.Get("token")))
	case tokenstore.KindOAuth2:
		c.ClientID, c.ClientSecret = strings.TrimSpace(form.Get("client_id")), secret.New(strings.TrimSpace(form.Get("client_secret")))
	case tokenstore.KindOAuth1:
		c.ConsumerKey = strings.TrimSpace(form.Get("consumer_key"))
	}
	return c
}

// replaceCredential gives a connection a new password or token. Grants are renewed by
// a consent instead.
func replaceCredential(v *visit) error {
	id := v.r.PathValue("id")
	var c admin.Connection
	if err := v.get(at("connections", id), &c); err != nil {
		return err
	}
	body, err := admin.EncodeCredential(v.credential(tokenstore.CredentialKind(c.Credential)))
	if err != nil {
		return err
	}
	if _, err := v.ask(http.MethodPut, at("connections", id, "credential"), body, nil); err != nil {
		return err
	}
	return v.back("replaced", "connections", id)
}
