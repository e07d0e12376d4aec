package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"jiragate/gateway/egress"
	"jiragate/gateway/egress/echo"
	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
)

// verifyTimeout is how long one round of questions to echo services may take.
const verifyTimeout = time.Minute

// Egress is what the API needs of the egress addresses of the region.
type Egress struct {
	// Addresses are those configured; none means unpinned.
	Addresses []egress.Address
	// Present are those configured now. Optional: nil means Addresses.
	Present func() []egress.Address
	// Register says which addresses are published, and since when.
	Register *register.Register
	// Health is what is known of each address that is configured; nil where no
	// calls are made.
	Health func() []egress.Health
	// Verified is the last report of the addresses that calls were seen to come
	// from; nil, or a nil report, where none was made.
	Verified func() *echo.Report
	// Verify asks the services (those configured, if none are given) through each
	// address.
	Verify func(ctx context.Context, services []string) (*echo.Report, error)
}

func (e *Egress) addresses() []egress.Address {
	if e.Present != nil {
		return e.Present()
	}
	return e.Addresses
}

// EgressView is the egress of this gateway: no addresses means unpinned.
type EgressView struct {
	Region    string          `json:"region"`
	Addresses []EgressAddress `json:"addresses"`
	History   []EgressChange  `json:"history"`
}

// EgressAddress is one address of the region, configured or published or both.
type EgressAddress struct {
	Public     string     `json:"public"`          // what Jira sees
	Local      string     `json:"local,omitempty"` // what sockets are bound to
	Proxy      string     `json:"proxy,omitempty"` // scheme, host and port of a provider's proxy
	Configured bool       `json:"configured"`      // JIRAGATE_EGRESS names it
	State      string     `json:"state"`           // announced, in_use, retired; unpublished where the register does not have it
	From       *time.Time `json:"from,omitempty"`
	Until      *time.Time `json:"until,omitempty"`
	Up         *bool      `json:"up,omitempty"`       // nothing is known against it
	Verified   string     `json:"verified,omitempty"` // verified, differs or unknown, at the last look
}

// EgressChange is a line of the history of the addresses.
type EgressChange struct {
	Announced time.Time `json:"announced"`
	Address   string    `json:"address"`
	Action    string    `json:"action"` // use or retire
	Effective time.Time `json:"effective"`
}

// stateUnpublished is that of an address which the register does not have.
const stateUnpublished = "unpublished"

// showEgress lists the addresses configured, and then what else is published.
func (a *API) showEgress(w http.ResponseWriter, _ *http.Request) error {
	now := a.o.Now()
	view := EgressView{Region: string(a.o.Region), Addresses: []EgressAddress{}, History: []EgressChange{}}
	published := map[netip.Addr]register.Entry{}
	var order []netip.Addr
	if r := a.o.Egress.Register; r != nil {
		for _, e := range r.Entries() { // the last period of an address counts
			if _, ok := published[e.Address]; !ok {
				order = append(order, e.Address)
			}
			published[e.Address] = e
		}
		for _, c := range r.History() {
			view.History = append(view.History, EgressChange{c.Announced, c.Address.String(), string(c.Action), c.Effective})
		}
	}
	up := map[netip.Addr]bool{}
	if a.o.Egress.Health != nil {
		for _, h := range a.o.Egress.Health() {
			up[h.Public] = h.Up
		}
	}
	verified := map[netip.Addr]echo.Verdict{}
	if a.o.Egress.Verified != nil {
		if report := a.o.Egress.Verified(); report != nil {
			for _, r := range report.Addresses {
				verified[r.Public] = r.Verdict
			}
		}
	}
	shown := func(public netip.Addr) EgressAddress {
		v := EgressAddress{Public: public.String(), State: stateUnpublished, Verified: string(verified[public])}
		if e, ok := published[public]; ok {
			v.State, v.From = string(e.State(now)), &e.From
			if !e.Until.IsZero() {
				v.Until = &e.Until
			}
		}
		if works, ok := up[public]; ok {
			v.Up = &works
		}
		return v
	}
	configured := map[netip.Addr]bool{}
	for _, e := range a.o.Egress.addresses() {
		configured[e.Public] = true
		v := shown(e.Public)
		v.Configured = true
		if e.Proxy != nil {
			v.Proxy = e.Proxy.String()
		} else {
			v.Local = e.Local.String()
		}
		view.Addresses = append(view.Addresses, v)
	}
	for _, public := range order {
		if !configured[public] {
			view.Addresses = append(view.Addresses, shown(public))
		}
	}
	return writeJSON(w, http.StatusOK, view)
}

// EgressDate is the body of an announcement or a retirement: when it takes
// effect; without one, now.
type EgressDate struct {
	Effective *time.Time `json:"effective,omitempty"`
}

func (a *API) announceEgress(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.changeEgress(w, r, t, (*register.Register).Announce)
}

func (a *API) retireEgress(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	return a.changeEgress(w, r, t, (*register.Register).Retire)
}

type registerChange func(r *register.Register, address netip.Addr, effective, now time.Time) (register.Change, error)

func (a *API) changeEgress(w http.ResponseWriter, r *http.Request, t *task, change registerChange) (answer, error) {
	var body EgressDate
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	address, err := egress.ParsePublic(r.PathValue("address"))
	if err != nil {
		return answer{}, invalid("address %q: %v", r.PathValue("address"), err)
	}
	if a.o.Egress.Register == nil {
		return answer{}, refuse(http.StatusServiceUnavailable, CodeUnavailable, "the register of egress addresses can't be changed here")
	}
	now := a.o.Now()
	effective := now
	if body.Effective != nil {
		effective = *body.Effective
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	done, err := change(a.o.Egress.Register, address, effective, now)
	switch {
	case errors.Is(err, register.ErrInvalid):
		return answer{}, invalid("%v", err)
	case errors.Is(err, register.ErrUnknown):
		return answer{}, refuse(http.StatusNotFound, CodeNotFound, "%v", err)
	case errors.Is(err, register.ErrNoChange), errors.Is(err, register.ErrConflict):
		return answer{}, refuse(http.StatusConflict, CodeConflict, "%v", err)
	case err != nil:
		return answer{}, err
	}
	a.o.Logger.InfoContext(ctx, "egress register changed", "address", done.Address.String(), "action", string(done.Action), "effective", done.Effective)
	return answer{status: http.StatusOK, body: EgressChange{done.Announced, done.Address.String(), string(done.Action), done.Effective}}, nil
}

// VerifyRequest asks which addresses calls are seen to come from.
type VerifyRequest struct {
	Services []string `json:"services,omitempty"` // URLs; empty: those configured
}

// EgressReport is the answer.
type EgressReport struct {
	Addresses []EgressProof `json:"addresses"`
}

// EgressProof is about one address.
type EgressProof struct {
	Public  string       `json:"public"`
	Verdict string       `json:"verdict"` // verified, differs or unknown
	Answers []EchoAnswer `json:"answers"`
}

// EchoAnswer is what one service saw.
type EchoAnswer struct {
	Service    string  `json:"service"`
	Outcome    string  `json:"outcome"` // ok, mismatch or failed
	Seen       string  `json:"seen,omitempty"`
	Error      string  `json:"error,omitempty"`
	DurationMS float64 `json:"duration_ms"`
}

// verifyEgress is an act on record, since it calls others from the addresses that
// customers let in; and for that reason it calls none of them.
func (a *API) verifyEgress(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	var body VerifyRequest
	if err := decode(w, r, &body); err != nil {
		return answer{}, err
	}
	switch {
	case len(a.o.Egress.addresses()) == 0:
		p := refuse(http.StatusConflict, CodeNotConfigured, "no egress address is configured, so there is none to verify")
		p.Hint = "set JIRAGATE_EGRESS; until then calls leave by the system's default route and are recorded as unpinned"
		return answer{}, p
	case a.o.Egress.Verify == nil:
		return answer{}, refuse(http.StatusServiceUnavailable, CodeUnavailable, "egress addresses can't be verified here")
	}
	for _, service := range body.Services {
		if err := a.checkService(service); err != nil {
			return answer{}, err
		}
	}
	ctx, err := t.begin()
	if err != nil {
		return answer{}, err
	}
	a.allow(w, verifyTimeout+writeTimeout)
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	report, err := a.o.Egress.Verify(ctx, body.Services)
	if report == nil { // of one whose time was over, what is there
		return answer{}, invalid("%v", err)
	}
	for _, r := range report.Addresses {
		a.o.Logger.InfoContext(ctx, "egress address verified", "address", r.Public.String(), "verdict", string(r.Verdict))
	}
	return answer{status: http.StatusOK, body: reportOf(report)}, nil
}

// checkService refuses an echo service that is a customer's Jira, or Atlassian.
func (a *API) checkService(service string) error {
	services, err := echo.ParseServices(service)
	if err != nil || len(services) != 1 {
		return invalid("%v", cmp.Or(err, errors.New("an echo service is one URL")))
	}
	u, err := url.Parse(services[0])
	if err != nil {
		return invalid("the URL of an echo service cannot be read")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	taken := host == "atlassian.com" || strings.HasSuffix(host, ".atlassian.com") || strings.HasSuffix(host, ".atlassian.net")
	for _, c := range a.o.Store.Directory().Connections() {
		taken = taken || hostname(c.Authority()) == host
	}
	if taken {
		return invalid("%s is a Jira, or Atlassian's: nothing but documented operations is called there", u.Hostname())
	}
	return nil
}

func reportOf(report *echo.Report) EgressReport {
	view := EgressReport{Addresses: []EgressProof{}}
	for _, r := range report.Addresses {
		p := EgressProof{Public: r.Public.String(), Verdict: string(r.Verdict), Answers: []EchoAnswer{}}
		for _, answer := range r.Answers {
			e := EchoAnswer{Service: answer.Service, Outcome: string(answer.Outcome), DurationMS: float64(answer.Duration.Microseconds()) / 1000}
			if answer.Seen.IsValid() {
				e.Seen = answer.Seen.String()
			}
			if answer.Err != nil {
				e.Error = answer.Err.Error()
			}
			p.Answers = append(p.Answers, e)
		}
		view.Addresses = append(view.Addresses, p)
	}
	return view
}

// PublishedFile is one document of a publication.
type PublishedFile struct {
	Name    string `json:"name"`
	Content []byte `json:"content"` // base64 in JSON
}

// Publication is what customers are told of the addresses and the policy, as of now. It
// is only where there is a register.
func (a *API) Publication() publication.Document {
	return publication.Document{
		Region:    string(a.o.Region),
		SyncToken: a.o.Egress.Register.SyncToken(),
		Entries:   a.o.Egress.Register.Entries(),
		History:   a.o.Egress.Register.History(),
		Policy:    a.o.Policy(),
		Created:   a.o.Now().UTC().Truncate(time.Second),
	}
}

// publishEgress makes the documents for customers' security teams, all of one
// moment, and their checksums, signed.
func (a *API) publishEgress(w http.ResponseWriter, _ *http.Request) error {
	if a.o.Egress.Register == nil || a.o.AuditKey.Open == nil {
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "nothing can be published here: there is no register or no signing key")
	}
	key, err := a.o.AuditKey.Open()
	if err != nil {
		return err
	}
	d := a.Publication()
	files, err := d.Files()
	if err != nil {
		return fmt.Errorf("making the publication: %w", err)
	}
	published := make([]PublishedFile, 0, len(files)+1)
	for _, f := range files {
		published = append(published, PublishedFile{f.Name, f.Content})
		if f.Name != publication.ChecksumsName {
			continue
		}
		signed, err := key.Sign(f.Content)
		if err != nil {
			return fmt.Errorf("signing the publication: %w", err)
		}
		published = append(published, PublishedFile{publication.SignedName, signed})
	}
	return writeJSON(w, http.StatusOK, published)
}
