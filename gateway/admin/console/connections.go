package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jiragate/gateway/admin"
	"jiragate/tokenstore"
)

// pageSize is how many rows a page has.
const pageSize = 50

// connectionsPage lists connections.
type connectionsPage struct {
	Rows    []admin.Connection
	Total   int
	Filter  connectionFilter
	States  []string
	Next    string // address of the next page
	Partial bool   // this is not the first page
}

// connectionFilter is what the address says of the connections to list.
type connectionFilter struct{ Text, State, Edition, Client string }

// Any reports whether anything is filtered.
func (f connectionFilter) Any() bool { return f != connectionFilter{} }

func connections(v *visit) error {
	q := v.r.URL.Query()
	f := connectionFilter{Text: strings.TrimSpace(q.Get("text")), State: q.Get("state"), Edition: q.Get("edition"), Client: q.Get("client")}
	asked := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, value := range map[string]string{"text": f.Text, "state": f.State, "edition": f.Edition, "client": f.Client, "after": q.Get("after")} {
		if value != "" {
			asked.Set(name, value)
		}
	}
	p := connectionsPage{Filter: f, States: states, Partial: q.Get("after") != ""}
	answer, err := v.ask(http.MethodGet, at("connections")+"?"+asked.Encode(), nil, &p.Rows)
	if err != nil {
		return err
	}
	p.Total, _ = strconv.Atoi(answer.header.Get("Total-Count")) // without it, none is told
	if len(p.Rows) > 0 && answer.header.Get("Link") != "" {
		p.Next = query(base+"connections", "text", f.Text, "state", f.State, "edition", f.Edition, "client", f.Client, "after", p.Rows[len(p.Rows)-1].ID)
	}
	return v.show(http.StatusOK, "connections", view{Title: "Connections", Section: "connections", Data: p})
}

// connectionPage is about one connection.
type connectionPage struct {
	admin.Connection
	Clients   []admin.Client // that may use it
	More      int            // so many more may
	Others    []admin.Client // that may not; none where there are too many to choose from
	Many      bool           // there are
	Window    window
	Windows   []window
	Series    admin.Activity
	Partial   bool
	Charts    []chart
	Calls     []recordRow
	Unread    *admin.Problem // why Series and Calls are missing
	Yesterday dayRange
	Invited   *admin.Invited     // a link that was made just now
	Tested    *admin.ProbeResult // a call that was made just now
}

// Consentable reports whether somebody consents to the connection.
func (p connectionPage) Consentable() bool {
	return p.Credential == "oauth2" || p.Credential == "oauth1"
}

// Callable reports whether calls are made.
func (p connectionPage) Callable() bool { return tokenstore.State(p.State).Callable() }

// At is the address of the page with another window. It names the connection, since
// the page is also the answer to forms, which have addresses of their own.
func (p connectionPage) At(window string) string {
	return query(base+"connections/"+url.PathEscape(p.ID), "window", window)
}

// Reason is the address of the calls of the window that were refused for a reason.
func (p connectionPage) Reason(code string) string {
	return query(base+"calls", "kind", "call", "decision", "deny", "connection", p.ID, "code", code, "since", p.Window.Ago())
}

func connection(v *visit) error { return v.connection(http.StatusOK, nil, nil) }

// connection shows a connection, with what was made of it just now.
func (v *visit) connection(status int, invited *admin.Invited, tested *admin.ProbeResult) error {
	id := v.r.PathValue("id")
	if invited != nil {
		id = invited.ID
	}
	p := connectionPage{Windows: windows, Window: chosen(v.r.URL.Query().Get("window")), Yesterday: yesterday(v.now), Invited: invited, Tested: tested}
	if err := v.get(at("connections", id), &p.Connection); err != nil {
		return err
	}
	granted, err := v.clients(url.Values{"connection": {id}}, &p.Clients)
	if err != nil {
		return err
	}
	p.More = granted - len(p.Clients)
	if v.session.Caller.Role.Includes(admin.RoleAdmin) {
		var all []admin.Client
		n, err := v.clients(url.Values{}, &all)
		if err != nil {
			return err
		}
		if p.Many = n > len(all); !p.Many {
			p.Others = without(all, p.Clients)
		}
	}
	if p.Unread, err = unread(v.lately(&p)); err != nil {
		return err
	}
	return v.show(status, "connection", view{Title: id, Section: "connections", Charts: p.Unread == nil, Data: p})
}

// lately reads what the audit log has about the connection.
func (v *visit) lately(p *connectionPage) error {
	series, err := v.activity(p.Window, p.ID)
	if err != nil {
		return err
	}
	var latest records
	if err := v.get(at("audit", "records")+"?"+url.Values{"connection": {p.ID}, "limit": {"10"}}.Encode(), &latest); err != nil {
		return err
	}
	p.Series, p.Charts, p.Partial, p.Calls = series, charts(series), partial(series), rows(latest.Records, v.now)
	return nil
}

// clients reads the first clients that match, with little of their grants, and tells
// how many match.
func (v *visit) clients(asked url.Values, list *[]admin.Client) (total int, err error) {
	asked.Set("limit", strconv.Itoa(admin.MaxPage))
	asked.Set("grants", "1")
	answer, err := v.ask(http.MethodGet, at("clients")+"?"+asked.Encode(), nil, list)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(answer.header.Get("Total-Count"))
}

// without is the clients of all that are none of some.
func without(all, some []admin.Client) []admin.Client {
	is := map[string]bool{}
	for _, c := range some {
		is[c.Name] = true
	}
	var others []admin.Client
	for _, c := range all {
		if !is[c.Name] {
			others = append(others, c)
		}
	}
	return others
}

func testConnection(v *visit) error {
	var result admin.ProbeResult
	if _, err := v.ask(http.MethodPost, at("connections", v.r.PathValue("id"), "test"), nil, &result); err != nil {
		return err
	}
	return v.connection(http.StatusOK, nil, &result)
}

func disableConnection(v *visit) error { return v.act("disabled", "disable") }

func enableConnection(v *visit) error { return v.act("enabled", "enable") }

func (v *visit) act(what, action string) error {
	id := v.r.PathValue("id")
	if _, err := v.ask(http.MethodPost, at("connections", id, action), nil, nil); err != nil {
		return err
	}
	return v.back(what, "connections", id)
}

func inviteAgain(v *visit) error {
	var invited admin.Invited
	if _, err := v.ask(http.MethodPost, at("connections", v.r.PathValue("id"), "consent"), nil, &invited); err != nil {
		return err
	}
	return v.connection(http.StatusOK, &invited, nil)
}

// removeConnection asks for the id to be typed, since what is removed is not to be
// had back.
func removeConnection(v *visit) error {
	id := v.r.PathValue("id")
	if v.r.PostForm.Get("confirm") != id {
		return &admin.Problem{Status: http.StatusBadRequest, Detail: "type the id of the connection, " + id + ", to remove it", Hint: "nothing was removed"}
	}
	if _, err := v.ask(http.MethodDelete, at("connections", id), nil, nil); err != nil {
		return err
	}
	return v.back("removed", "connections")
}

func grantConnection(v *visit) error {
	id, client := v.r.PathValue("id"), strings.TrimSpace(v.r.PostForm.Get("client"))
	if client == "" {
		return &admin.Problem{Status: http.StatusBadRequest, Detail: "which client?", Hint: "enter the name of a client"}
	}
	if _, err := v.ask(http.MethodPut, at("clients", client, "grants", id), nil, nil); err != nil {
		return err
	}
	return v.back("granted", "connections", id)
}

// dayRange is one day in UTC, as addresses have it.
type dayRange struct{ Since, Until string }

func yesterday(now time.Time) dayRange {
	today := now.UTC().Truncate(24 * time.Hour)
	return dayRange{today.AddDate(0, 0, -1).Format(inputTime), today.Format(inputTime)}
}
