package demo

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"jiragate/gateway"
	"jiragate/gateway/audit"
	"jiragate/policy"
)

const (
	day = 24 * time.Hour
	// pastLength is how far back the demo's past goes.
	pastLength = 35 * day
	// maxPast bounds the made-up records.
	maxPast = 20_000
)

// The past is dense where people look first. Where it is thin, only some hours of a
// day have calls: each hour is a file of the log, and what comes to disk for it takes
// more time than its records.
const (
	dense, denseEach   = 48 * time.Hour, 110.0 // calls in an average hour
	recent, recentEach = 7 * day, 36.0
	oldEach            = 13.0
	recentStep         = 3 // hours
	oldStep            = 8
)

// The addresses that the past's calls left from: those of the demo's gateway.
var publicAddresses = []string{"52.54.159.237", "52.73.143.252"}

// pastCalls makes up calls. The same now gives the same calls.
type pastCalls struct {
	now    time.Time
	policy *policy.Policy
	rand   *rand.Rand
	list   []audit.Record
	issues map[string]int // published so far, by project
}

// callsBefore are the made-up calls before now, in the order of their times.
func callsBefore(now time.Time, p *policy.Policy) []audit.Record {
	g := &pastCalls{now: now.UTC(), policy: p, rand: rand.New(rand.NewPCG(6, 2026)), issues: map[string]int{}}
	begin := g.now.Add(-pastLength).Truncate(time.Hour).Add(time.Hour)
	for hour := begin; hour.Before(g.now); hour = hour.Add(time.Hour) {
		g.hour(hour)
	}
	g.stories()
	g.list = slices.DeleteFunc(g.list, func(r audit.Record) bool { return !r.Time.Before(g.now) || r.Time.Before(begin) })
	slices.SortStableFunc(g.list, func(a, b audit.Record) int { return a.Time.Compare(b.Time) })
	for i := range g.list {
		g.identify(&g.list[i])
	}
	return g.list
}

// hour makes up the ordinary calls of one hour.
func (g *pastCalls) hour(hour time.Time) {
	each, step := oldEach, oldStep
	switch age := g.now.Sub(hour); {
	case age <= dense:
		each, step = denseEach, 1
	case age <= recent:
		each, step = recentEach, recentStep
	}
	if hour.Hour()%step != 0 {
		return
	}
	for range g.about(each * float64(step) * rhythm(hour)) {
		at := hour.Add(time.Duration(g.rand.Int64N(int64(time.Hour))))
		switch odds := g.rand.Float64(); {
		case odds < 0.004:
			g.unidentified(at)
		case odds < 0.006:
			g.notGranted(at)
		default:
			c := pick(g.rand, customers, func(c customer) float64 { return c.weight })
			s := pick(g.rand, usersOf(c), func(s service) float64 { return s.weight })
			g.ordinary(at, c, s)
		}
	}
}

// rhythm is how much is called at an hour, compared with the average: by day in
// Europe and America, and little at weekends.
func rhythm(hour time.Time) float64 {
	h := float64(hour.Hour())
	level := 0.15 + 1.5*math.Exp(-math.Pow(h-9, 2)/8) + 2.1*math.Exp(-math.Pow(h-16, 2)/12)
	if d := hour.Weekday(); d == time.Saturday || d == time.Sunday {
		level = 0.1 + level*0.12
	}
	return level
}

// about is a whole number near n.
func (g *pastCalls) about(n float64) int {
	return max(0, int(math.Round(n+g.rand.NormFloat64()*math.Sqrt(n))))
}

// ordinary is a call as services make them, now and then a wrong one.
func (g *pastCalls) ordinary(at time.Time, c customer, s service) {
	if at.Before(g.now.Add(-time.Duration(c.since) * day).Add(12 * time.Hour)) { // it wasn't connected yet
		return
	}
	if g.rand.Float64() < 0.008 {
		g.refusal(at, c, s, g.anyStep(wrongSteps(c.edition)))
		return
	}
	operation := g.oneOf(s.operations)
	r, ok := g.allowed(at, c, s, stepOf(c.edition, operation))
	if !ok {
		return
	}
	switch {
	case g.lapsed(at, c):
		r.Code, r.Status, r.DurationMS = string(gateway.CodeNeedsReauthorisation), http.StatusBadGateway, g.around(0.4)
		r.EgressIP, r.UpstreamAddr, r.BytesOut = "", "", 380
	case c.fate == disabled && at.After(g.now.Add(-6*day)):
		r = g.denied(r, gateway.CodeConnectionDisabled, http.StatusForbidden)
	case g.rand.Float64() < 0.004:
		g.trouble(&r)
	}
	g.list = append(g.list, r)
}

// lapsed tells whether the credential of a customer was no longer accepted.
func (g *pastCalls) lapsed(at time.Time, c customer) bool {
	return (c.fate == lost || c.fate == barred) && at.After(g.now.Add(-3*day))
}

// trouble is what goes wrong on the way to any Jira, or there.
func (g *pastCalls) trouble(r *audit.Record) {
	switch g.rand.IntN(4) {
	case 0:
		r.Code, r.Status, r.DurationMS = string(gateway.CodeUpstreamTimeout), http.StatusGatewayTimeout, 30_000+g.around(4)
	case 1:
		r.Code, r.Status, r.DurationMS = string(gateway.CodeUpstreamUnreachable), http.StatusBadGateway, g.around(900)
		r.EgressIP, r.UpstreamAddr = "", ""
	case 2:
		r.Code, r.Status = string(gateway.CodeSiteUnavailable), http.StatusServiceUnavailable
	default:
		r.Code, r.Status = string(gateway.CodeUpstreamTLSFailed), http.StatusBadGateway
		r.EgressIP, r.UpstreamAddr = "", ""
	}
	r.BytesOut = int64(300 + g.rand.IntN(120))
}

// allowed is a documented call that went well; false if there is nothing it could be
// about yet.
func (g *pastCalls) allowed(at time.Time, c customer, s service, st step) (audit.Record, bool) {
	project := g.oneOf(c.keys())
	switch {
	case st.operation == "issue.create":
		g.issues[project]++
	case st.operation == "issue.delete" && g.issues[project] == 0:
		return audit.Record{}, false
	}
	r := g.decided(at, c, s, st, project)
	r.Credential = string(c.kind)
	r.EgressIP = publicAddresses[g.rand.IntN(len(publicAddresses))]
	r.UpstreamAddr = upstream(c)
	r.Status = st.status
	r.BytesIn = int64(len(st.body))
	if st.status == http.StatusOK {
		r.BytesOut = int64(200 + g.around(1800))
	}
	r.DurationMS = g.around(latency(c, st.operation)) * g.slowness(at)
	return r, true
}

// refusal is a call that the gateway didn't let through.
func (g *pastCalls) refusal(at time.Time, c customer, s service, st step) {
	r := g.decided(at, c, s, st, g.oneOf(c.keys()))
	g.list = append(g.list, g.denied(r, gateway.Code(cmp.Or(r.Code, st.code)), st.status))
}

func (g *pastCalls) denied(r audit.Record, code gateway.Code, status int) audit.Record {
	r.Decision, r.Code, r.Status = audit.DecisionDeny, string(code), status
	r.Credential, r.EgressIP, r.UpstreamAddr = "", "", ""
	r.BytesOut, r.DurationMS = int64(290+g.rand.IntN(130)), g.around(0.2)
	return r
}

// decided is what the policy in force says of a call.
func (g *pastCalls) decided(at time.Time, c customer, s service, st step, project string) audit.Record {
	issue := fmt.Sprintf("%s-%d", project, max(1, g.issues[project]-g.rand.IntN(5)))
	target := strings.NewReplacer("SITE", "", "BASE", "", "ACME-1", issue, "CREATED", issue, "ACME", project).Replace(st.path)
	path, query, _ := strings.Cut(target, "?")
	request := policy.Request{Edition: c.edition, Method: st.method, Path: path, RawQuery: query, Client: s.name, Connection: c.id}
	d := g.policy.Decide(request)
	if d.Allowed() {
		_, d = g.policy.DecideBody(d, request, "application/json", []byte(st.body))
	}
	r := audit.Record{
		Time: at, Client: s.name, ClientAddr: g.address(s), Connection: c.id, Edition: string(c.edition), Region: "us",
		Method: st.method, Path: path, QueryNames: d.QueryNames(),
		Decision: audit.DecisionAllow, Code: string(d.Code), PolicySHA256: g.policy.SHA256(),
	}
	if d.Operation != nil {
		r.Operation = d.Operation.ID
	}
	if d.Allowed() {
		r.Path = d.Path()
	}
	return r
}

// unidentified is a call of nobody that the gateway knows.
func (g *pastCalls) unidentified(at time.Time) {
	c := pick(g.rand, customers, func(c customer) float64 { return c.weight })
	host := strings.TrimPrefix(cmp.Or(c.base, c.site()), "https://")
	host, _, _ = strings.Cut(host, "/")
	r := audit.Record{Time: at, ClientAddr: g.addressIn("10.40.9"), Method: http.MethodConnect, Path: host + ":443"}
	g.list = append(g.list, g.denied(r, gateway.CodeClientUnidentified, http.StatusProxyAuthRequired))
}

// notGranted is a call over a connection of which the client has no grant.
func (g *pastCalls) notGranted(at time.Time) {
	s := services[3]
	r := audit.Record{Time: at, Client: s.name, ClientAddr: g.address(s), Method: http.MethodGet, Path: "https://duff.atlassian.net/rest/api/3/myself"}
	g.list = append(g.list, g.denied(r, gateway.CodeNotGranted, http.StatusForbidden))
}

// identify gives a call its ids, as of its time.
func (g *pastCalls) identify(r *audit.Record) {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(g.rand.Uint32())
	}
	r.TraceID = hex.EncodeToString(id[:])
	r.ID = recordID(r.Time, g.rand)
}

// recordID is a version 7 UUID (RFC 9562 section 5.7) of a time.
func recordID(at time.Time, random *rand.Rand) string {
	var id uuid.UUID
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	for i := 6; i < len(id); i++ {
		id[i] = byte(random.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}

// around is log-normal with this median.
func (g *pastCalls) around(median float64) float64 {
	return math.Round(median*math.Exp(g.rand.NormFloat64()*0.45)*1000) / 1000
}

// latency is what a call takes, in milliseconds, in the median.
func latency(c customer, operation string) float64 {
	ms := 95.0
	if c.edition == dataCenter {
		ms = 140
	}
	switch operation {
	case "issue.create":
		return ms * 3.2
	case "field.list", "user.assignable":
		return ms * 1.9
	case "myself.get", "priority.list":
		return ms * 0.6
	}
	return ms
}

// upstream is an address for documentation (RFC 5737): nobody was called.
func upstream(c customer) string {
	if c.edition == cloud {
		return "198.51.100.17:443"
	}
	return fmt.Sprintf("203.0.113.%d:443", 20+len(c.id))
}

func (g *pastCalls) address(s service) string {
	return g.addressIn(fmt.Sprintf("10.40.%d", len(s.name)))
}

func (g *pastCalls) addressIn(network string) string {
	return fmt.Sprintf("%s.%d:%d", network, 11+g.rand.IntN(3), 32768+g.rand.IntN(28000))
}

func (g *pastCalls) anyStep(list []step) step   { return list[g.rand.IntN(len(list))] }
func (g *pastCalls) oneOf(list []string) string { return list[g.rand.IntN(len(list))] }

// pick takes one of list, each with its weight.
func pick[T any](random *rand.Rand, list []T, weight func(T) float64) T {
	sum := 0.0
	for _, x := range list {
		sum += weight(x)
	}
	at := random.Float64() * sum
	for _, x := range list {
		if at -= weight(x); at < 0 {
			return x
		}
	}
	return list[0]
}

// stepOf is the demo's call of an operation.
func stepOf(edition policy.Edition, operation string) step {
	i := slices.IndexFunc(documented, func(st step) bool { return st.edition == string(edition) && st.operation == operation })
	return documented[i]
}

// wrongSteps are the demo's calls that a client of an edition could make by mistake
// over a connection.
func wrongSteps(edition policy.Edition) []step {
	return slices.DeleteFunc(slices.Clone(refused), func(st step) bool {
		return st.edition != string(edition) || st.outsider || st.header != nil || strings.HasPrefix(st.path, "https:")
	})
}
