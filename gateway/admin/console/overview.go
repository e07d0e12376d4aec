package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"jiragate/gateway/admin"
)

// overviewPage is what the first page tells.
type overviewPage struct {
	admin.Overview
	States   []stateCount
	Window   window
	Windows  []window
	Series   admin.Activity
	Partial  bool // the series is not whole
	Charts   []chart
	Refusals []recordRow
	Unread   *admin.Problem // why Refusals are missing
}

// Failing are the checks that fail.
func (p overviewPage) Failing() []admin.CheckResult {
	var failing []admin.CheckResult
	for _, c := range p.Checks {
		if c.Error != "" {
			failing = append(failing, c)
		}
	}
	return failing
}

// Link is the address of the records of the window.
func (p overviewPage) Link(kind, decision string) string {
	return query(base+"calls", "kind", kind, "decision", decision, "since", p.Window.Ago())
}

// At is the address of the page with another window.
func (p overviewPage) At(window string) string { return query(base, "window", window) }

// Reason is the address of the calls of the window that were refused for a reason.
func (p overviewPage) Reason(code string) string {
	return query(base+"calls", "kind", "call", "decision", "deny", "code", code, "since", p.Window.Ago())
}

type stateCount struct {
	State string
	Count int
}

func overview(v *visit) error {
	p := overviewPage{Windows: windows, Window: chosen(v.r.URL.Query().Get("window"))}
	if err := v.get(at("overview"), &p.Overview); err != nil {
		return err
	}
	for _, s := range states {
		if n := p.Connections.ByState[s]; n > 0 {
			p.States = append(p.States, stateCount{s, n})
		}
	}
	var err error
	if p.Series, err = v.activity(p.Window, ""); err != nil {
		return err
	}
	p.Charts, p.Partial = charts(p.Series), partial(p.Series)
	var refused records
	asked := url.Values{"kind": {"call"}, "decision": {"deny"}, "since": {p.Window.Ago()}, "limit": {"8"}}
	if p.Unread, err = unread(v.get(at("audit", "records")+"?"+asked.Encode(), &refused)); err != nil {
		return err
	}
	p.Refusals = rows(refused.Records, v.now)
	return v.show(http.StatusOK, "overview", view{Title: "Overview", Charts: true, Data: p})
}

// activity asks for the series of a window, of one connection or of all.
func (v *visit) activity(w window, connection string) (s admin.Activity, err error) {
	q := url.Values{
		"since": {v.now.Add(-w.Long).Format(time.RFC3339)},
		"until": {v.now.Format(time.RFC3339)},
		"step":  {strconv.Itoa(int(w.Step / time.Second))},
	}
	if connection != "" {
		q.Set("connection", connection)
	}
	err = v.get(at("audit", "activity")+"?"+q.Encode(), &s)
	return s, err
}

// partial reports whether a series doesn't reach as far back as was asked.
func partial(s admin.Activity) bool {
	return s.CompleteSince.After(s.From)
}
