package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"jiragate/gateway/admin"
	"jiragate/tokenstore/secret"
)

const (
	// grantsInRow is how many connections of a client a row of a table has, and
	// grantsOnPage how many its own page. Others can be found by a filter.
	grantsInRow  = 5
	grantsOnPage = 100
)

// clientsPage lists clients.
type clientsPage struct {
	Rows  []admin.Client
	Total int
	Text  string
	Next  string
	First bool
}

func clients(v *visit) error {
	q := v.r.URL.Query()
	asked := url.Values{"limit": {strconv.Itoa(pageSize)}, "grants": {strconv.Itoa(grantsInRow)}}
	p := clientsPage{Text: strings.TrimSpace(q.Get("text")), First: q.Get("after") == ""}
	for name, value := range map[string]string{"text": p.Text, "after": q.Get("after")} {
		if value != "" {
			asked.Set(name, value)
		}
	}
	answer, err := v.ask(http.MethodGet, at("clients")+"?"+asked.Encode(), nil, &p.Rows)
	if err != nil {
		return err
	}
	p.Total, _ = strconv.Atoi(answer.header.Get("Total-Count")) // without it, none is told
	if len(p.Rows) > 0 && answer.header.Get("Link") != "" {
		p.Next = query(base+"clients", "text", p.Text, "after", p.Rows[len(p.Rows)-1].Name)
	}
	return v.show(http.StatusOK, "clients", view{Title: "Clients", Section: "clients", Data: p})
}

// newClientPage is the form of a new client.
type newClientPage struct {
	Problem                        *admin.Problem
	Name, Connections, Certificate string
}

func newClient(v *visit) error {
	return v.show(http.StatusOK, "newclient", view{Title: "Add a client", Section: "clients",
		Data: newClientPage{Connections: v.r.URL.Query().Get("connection")}})
}

func addClient(v *visit) error {
	text := func(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }
	p := newClientPage{Name: text("name"), Connections: text("connections"), Certificate: text("certificate_sans")}
	body, err := admin.NewClient{Name: p.Name, Connections: fields(p.Connections), CertificateSANs: fields(p.Certificate)}.Encode()
	if err != nil {
		return err
	}
	var issued admin.IssuedToken
	_, err = v.ask(http.MethodPost, at("clients"), body, &issued)
	var problem *admin.Problem
	switch {
	case errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusForbidden:
		p.Problem = problem
		return v.show(problem.Status, "newclient", view{Title: "Add a client", Section: "clients", Data: p})
	case err != nil:
		return err
	}
	return v.client(http.StatusCreated, issued.Name, secret.New(issued.Token))
}

// fields are the words of a text, which commas may part as well.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// clientPage is about one client.
type clientPage struct {
	admin.Client
	Token  string // made just now, shown this once
	Calls  []recordRow
	Unread *admin.Problem // why Calls are missing
}

func client(v *visit) error { return v.client(http.StatusOK, v.r.PathValue("name"), secret.Secret{}) }

func (v *visit) client(status int, name string, token secret.Secret) error {
	p := clientPage{Token: token.Reveal()}
	if err := v.get(at("clients", name)+"?grants="+strconv.Itoa(grantsOnPage), &p.Client); err != nil {
		return err
	}
	var latest records
	var err error
	p.Unread, err = unread(v.get(at("audit", "records")+"?"+url.Values{"client": {name}, "limit": {"10"}}.Encode(), &latest))
	if err != nil {
		return err
	}
	p.Calls = rows(latest.Records, v.now)
	return v.show(status, "client", view{Title: name, Section: "clients", Data: p})
}

func rotateToken(v *visit) error {
	body, err := admin.NewClientToken{}.Encode()
	if err != nil {
		return err
	}
	var issued admin.IssuedToken
	if _, err := v.ask(http.MethodPost, at("clients", v.r.PathValue("name"), "token"), body, &issued); err != nil {
		return err
	}
	return v.client(http.StatusOK, issued.Name, secret.New(issued.Token))
}

func removeClient(v *visit) error {
	name := v.r.PathValue("name")
	if v.r.PostForm.Get("confirm") != name {
		return &admin.Problem{Status: http.StatusBadRequest, Detail: "type the name of the client, " + name + ", to remove it", Hint: "nothing was removed"}
	}
	if _, err := v.ask(http.MethodDelete, at("clients", name), nil, nil); err != nil {
		return err
	}
	return v.back("removed", "clients")
}

func grant(v *visit) error  { return v.changeGrant(http.MethodPut, "granted") }
func revoke(v *visit) error { return v.changeGrant(http.MethodDelete, "revoked") }

func (v *visit) changeGrant(method, what string) error {
	name := v.r.PathValue("name")
	connection := strings.TrimSpace(v.r.PostForm.Get("connection"))
	if connection == "" {
		return &admin.Problem{Status: http.StatusBadRequest, Detail: "which connection?", Hint: "enter the id of a connection"}
	}
	if _, err := v.ask(method, at("clients", name, "grants", connection), nil, nil); err != nil {
		return err
	}
	return v.back(what, "clients", name)
}
