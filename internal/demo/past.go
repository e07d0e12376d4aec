package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"jiragate/gateway/audit"
	"jiragate/internal/cli"
	"jiragate/internal/jirasim"
	"jiragate/tokenstore"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

// past is what the demo makes up of before its start: customers, clients, and calls.
type past struct {
	cli.Past
	sim    *jirasim.Sim
	now    time.Time
	clock  atomic.Int64 // Unix microseconds
	rand   *rand.Rand
	tokens map[string]secret.Secret // of the clients
}

// act is one of administration: what was done, at what time, and its record. What the
// gateway does by itself leaves none: its record is empty.
type act struct {
	at     time.Time
	who    string
	record audit.Record
	do     func(ctx context.Context) error // nil where nothing is left of it
}

// writePast fills the data directory that config names with a past up to now. It
// returns the tokens of the clients in it.
func writePast(ctx context.Context, config cli.Config, sim *jirasim.Sim, now time.Time) (map[string]secret.Secret, error) {
	p := &past{sim: sim, now: now.UTC(), rand: rand.New(rand.NewPCG(7, 2026)), tokens: map[string]secret.Secret{}}
	err := cli.WritePast(ctx, config, p.time, func(ctx context.Context, opened cli.Past) error {
		p.Past = opened
		return p.write(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("making up the past: %w", err)
	}
	return p.tokens, nil
}

// time is the clock of the past.
func (p *past) time() time.Time { return time.UnixMicro(p.clock.Load()).UTC() }

// write does the acts and writes the records, in the order of their times.
func (p *past) write(ctx context.Context) error {
	calls := callsBefore(p.now, p.Policy)
	acts := p.acts()
	slices.SortStableFunc(acts, func(a, b act) int { return a.at.Compare(b.at) })
	for _, a := range acts {
		n, _ := slices.BinarySearchFunc(calls, a.at, func(r audit.Record, at time.Time) int { return r.Time.Compare(at) })
		if err := p.append(ctx, calls[:n]...); err != nil {
			return err
		}
		calls = calls[n:]
		p.clock.Store(a.at.UnixMicro())
		if a.do != nil {
			if err := a.do(ctx); err != nil {
				return fmt.Errorf("%s %s: %w", a.record.Operation, a.record.Connection, err)
			}
		}
		if a.record.Operation != "" {
			if err := p.append(ctx, p.recordOf(a)); err != nil {
				return err
			}
		}
	}
	return p.append(ctx, calls...)
}

// append writes records, each at its time.
func (p *past) append(ctx context.Context, records ...audit.Record) error {
	for _, r := range records {
		p.clock.Store(r.Time.UnixMicro())
		if _, err := p.Audit.Append(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *past) recordOf(a act) audit.Record {
	r := a.record
	r.Time, r.ID = a.at, recordID(a.at, p.rand)
	r.Client, r.ClientAddr = a.who, fmt.Sprintf("unix:pid=%d", 1000+p.rand.IntN(30000))
	r.Decision, r.PolicySHA256 = audit.DecisionAllow, p.Policy.SHA256()
	r.DurationMS = float64(900+p.rand.IntN(9000)) / 1000
	return r
}

// The people who administer the gateway in the past.
const (
	ada   = "operator:ada"
	grace = "operator:grace"
)

// acts are what was done to set up the gateway and its customers, and since.
func (p *past) acts() []act {
	begin := p.now.Add(-pastLength).Truncate(time.Hour).Add(time.Hour)
	var list []act
	add := func(at time.Time, who string, record audit.Record, do func(context.Context) error) {
		list = append(list, act{at, who, record, do})
	}
	for i, address := range publicAddresses {
		add(begin.Add(time.Duration(i)*time.Second), ada, audit.Record{Operation: "admin.egress.use", Path: "/v1/egress/addresses/" + address, Status: http.StatusOK},
			func(context.Context) error {
				_, err := p.Register.Observe([]netip.Addr{netip.MustParseAddr(address)}, p.time())
				return err
			})
	}
	for i, s := range services {
		add(begin.Add(time.Duration(3+i)*time.Minute), ada, audit.Record{Operation: "admin.client.add", Method: http.MethodPost, Path: "/v1/clients/" + s.name, Status: http.StatusCreated},
			func(ctx context.Context) error {
				token, sum := tokenstore.NewToken()
				p.tokens[s.name] = token
				return p.Store.AddClient(ctx, tokenstore.Client{Name: s.name, TokenSHA256: sum})
			})
	}
	for i, c := range customers {
		p.customerActs(c, begin, i, add)
	}
	add(p.now.Truncate(day).Add(-day).Add(burstEnds+7*time.Minute), grace,
		audit.Record{Operation: "admin.client.rotate", Method: http.MethodPost, Path: "/v1/clients/retro-sync/token", Status: http.StatusOK},
		func(ctx context.Context) error {
			token, sum := tokenstore.NewToken()
			p.tokens["retro-sync"] = token
			return p.Store.SetClientToken(ctx, "retro-sync", sum)
		})
	add(p.now.Add(-9*day), grace, audit.Record{Operation: "admin.egress.verify", Method: http.MethodPost, Path: "/v1/egress/verify", Status: http.StatusOK}, nil)
	return list
}

// customerActs are those about one customer, the i-th.
func (p *past) customerActs(c customer, begin time.Time, i int, add func(time.Time, string, audit.Record, func(context.Context) error)) {
	about := audit.Record{Connection: c.id, Edition: string(c.edition), Region: "us", Credential: string(c.kind), Method: http.MethodPost, Status: http.StatusOK}
	record := func(operation, path string) audit.Record {
		r := about
		r.Operation, r.Path = "admin."+operation, path
		return r
	}
	path := "/v1/connections/" + url.PathEscape(c.id)
	at := begin.Add(time.Duration(35-c.since)*day + time.Hour + time.Duration(i*7)*time.Minute)
	if latest := p.now.Add(-20 * time.Hour); at.After(latest) {
		at = latest
	}
	added := record("connection.add", "/v1/connections")
	added.Status, added.BytesIn = http.StatusCreated, 380
	add(at, ada, added, func(ctx context.Context) error { return p.connect(ctx, c) })
	if c.kind == tokenstore.KindOAuth2 && c.fate != awaited {
		r := record("connection.consented", "/oauth/callback")
		r.Method = http.MethodGet
		add(at.Add(40*time.Minute), "customer:"+c.id, r, nil)
	}
	for n, s := range usersOf(c) {
		granted := record("client.grant", "/v1/clients/"+s.name+"/grants/"+c.id)
		granted.Method, granted.Credential = http.MethodPut, ""
		add(at.Add(time.Duration(5+n)*time.Second), ada, granted, func(ctx context.Context) error { return p.Store.Grant(ctx, s.name, c.id) })
	}
	switch c.fate {
	case expires:
		add(p.now.Add(-11*day), "", audit.Record{}, func(ctx context.Context) error {
			return p.conclude(ctx, c, func(cred tokenstore.Credential) error {
				return p.Store.AnnounceEnd(ctx, c.id, cred.Generation, cred.Ending(p.time()))
			})
		})
	case lost, barred:
		reason := "the refresh token is no longer accepted by Atlassian (invalid_grant)"
		if c.fate == barred {
			reason = "Jira refused the stored user name and password: they are not sent again until there are new ones (jiragate connection credential), or the account is in order (jiragate connection enable)"
		}
		add(p.now.Add(-3*day), "", audit.Record{}, func(ctx context.Context) error {
			return p.conclude(ctx, c, func(cred tokenstore.Credential) error {
				return p.Store.RequireReauthorisation(ctx, c.id, cred.Generation, reason)
			})
		})
	case disabled:
		add(p.now.Add(-6*day), grace, record("connection.disable", path+"/disable"), func(ctx context.Context) error {
			return p.Store.SetState(ctx, c.id, tokenstore.StateDisabled, "disabled by an operator")
		})
	}
}

// conclude does something about the present credential of a customer.
func (p *past) conclude(ctx context.Context, c customer, do func(tokenstore.Credential) error) error {
	cred, err := p.Store.Credential(ctx, c.id)
	if err != nil {
		return err
	}
	return do(cred)
}

// connect stores the connection of a customer.
func (p *past) connect(ctx context.Context, c customer) error {
	cred, err := p.credential(c)
	if err != nil {
		return err
	}
	connection := tokenstore.Connection{ID: c.id, Edition: c.edition, BaseURL: c.base, Region: tokenstore.RegionUS, CredentialKind: c.kind, Scopes: cred.Scopes}
	if c.edition == cloud {
		connection.SiteURL, connection.CloudID = c.site(), c.cloudID()
	}
	return p.Store.AddConnection(ctx, connection, cred)
}

// credential is a good one of the simulator for Cloud. Data Centers other than the
// simulator's are nowhere, and never called: theirs are of the right form.
func (p *past) credential(c customer) (tokenstore.Credential, error) {
	cred := tokenstore.Credential{Kind: c.kind}
	switch {
	case c.fate == awaited:
	case c.kind == tokenstore.KindBasic:
		cred.Username, cred.Password = "integration", secret.New("made-up-for-the-demo")
	case c.kind == tokenstore.KindPAT:
		cred.Token = secret.New("made-up-for-the-demo-0123456789")
	case c.kind == tokenstore.KindOAuth1:
		key, err := applink.NewKey()
		if err != nil {
			return cred, err
		}
		cred.ConsumerKey, cred.PrivateKey, cred.Token = "jiragate", key, secret.New("made-up-for-the-demo")
		cred.ConsentedAt = p.time()
	case c.edition == cloud:
		grant := p.sim.IssueGrant(jirasim.DefaultScopes()...)
		cred.AccessToken, cred.RefreshToken = secret.New(grant.AccessToken), secret.New(grant.RefreshToken)
		cred.Expiry, cred.Scopes = grant.Expiry.UTC(), slices.Sorted(slices.Values(jirasim.DefaultScopes()))
		p.clocks(c, &cred)
	case c.kind == tokenstore.KindOAuth2:
		cred.AccessToken, cred.RefreshToken = secret.New("made-up-for-the-demo"), secret.New("made-up-for-the-demo-too")
		cred.Expiry = p.now.Add(2 * time.Hour)
		cred.ClientID, cred.ClientSecret = "made-up-client", secret.New("made-up-client-secret")
		p.clocks(c, &cred)
	default:
		return cred, errors.New("no such credential: " + string(c.kind))
	}
	return cred, nil
}

// clocks sets the times of a grant. The refresh token is as good as new, so that
// nothing has to be renewed for its own sake while the demo is up.
func (p *past) clocks(c customer, cred *tokenstore.Credential) {
	cred.ConsentedAt = p.time()
	if c.edition == cloud {
		cred.EndsAt = cred.ConsentedAt.Add(365 * day)
	}
	if c.fate == expires { // it was consented to long before there was a gateway
		cred.ConsentedAt, cred.EndsAt = p.now.Add(-347*day), p.now.Add(18*day)
	}
	cred.LapsesAt = p.now.Add(89 * day)
}

// sites are those that lead to the simulator.
func sites() []jirasim.Site {
	list := []jirasim.Site{
		{ID: jirasim.SandboxCloudID, URL: jirasim.SandboxSiteURL},
		{ID: jirasim.DefaultCloudID, URL: jirasim.DefaultSiteURL},
	}
	for _, c := range customers {
		if c.edition == cloud {
			list = append(list, jirasim.Site{ID: c.cloudID(), URL: c.site()})
		}
	}
	return list
}
