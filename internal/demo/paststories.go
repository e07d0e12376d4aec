package demo

import (
	"net/http"
	"time"

	"jiragate/gateway"
)

// What stands out in the past. All of it was yesterday (UTC), whatever the time is now,
// but for the outage of one customer.

// yesterday is when that began.
func (g *pastCalls) yesterday() time.Time { return g.now.Truncate(day).Add(-day) }

// at is a moment between two times of a day.
func (g *pastCalls) at(day time.Time, from, until time.Duration) time.Time {
	return day.Add(from + time.Duration(g.rand.Int64N(int64(until-from))))
}

func timeOfDay(hours, minutes int) time.Duration {
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
}

func (g *pastCalls) stories() {
	g.misbehaviour()
	g.limits()
	g.outage()
}

// burstEnds is when the misbehaviour of yesterday was over.
var burstEnds = timeOfDay(14, 23)

// misbehaviour is one client's attempt to read what isn't documented: a new version
// of it asked one customer's Jira for issues.
func (g *pastCalls) misbehaviour() {
	c, s := customerNamed("globex"), serviceNamed("retro-sync")
	for i := range 160 {
		st := wrongStep("read an issue")
		switch {
		case i%10 == 0:
			st = wrongStep("undocumented parameter")
		case i%3 == 0:
			st = wrongStep("search issues")
		}
		g.refusal(g.at(g.yesterday(), timeOfDay(14, 5), burstEnds), c, s, st)
	}
}

// limits is a time in which one customer's Jira asked to wait.
func (g *pastCalls) limits() {
	c, s := customerNamed("hooli"), serviceNamed("action-items")
	for i := range 70 {
		at := g.at(g.yesterday(), timeOfDay(9, 10), timeOfDay(9, 42))
		r, ok := g.allowed(at, c, s, stepOf(cloud, "field.list"))
		switch {
		case !ok:
			continue
		case i%4 == 0: // Jira said so
			r.Code, r.Status, r.BytesOut = string(gateway.CodeRateLimited), http.StatusTooManyRequests, 64
		default: // and the gateway kept to it
			r = g.denied(r, gateway.CodeJiraAskedToWait, http.StatusTooManyRequests)
		}
		g.list = append(g.list, r)
	}
}

// slowness is how much slower than usual calls are: in one hour, much.
func (g *pastCalls) slowness(at time.Time) float64 {
	if from := g.yesterday().Add(timeOfDay(16, 0)); !at.Before(from) && at.Before(from.Add(time.Hour)) {
		return 6
	}
	return 1
}

// outage is a night in which one customer's Data Center could not be reached.
func (g *pastCalls) outage() {
	c, s := customerNamed("wayne-enterprises"), serviceNamed("action-items")
	night := g.yesterday().Add(-4 * day)
	for range 30 {
		r, ok := g.allowed(g.at(night, timeOfDay(2, 0), timeOfDay(3, 0)), c, s, stepOf(dataCenter, "project.list"))
		if !ok {
			continue
		}
		r.Code, r.Status, r.DurationMS = string(gateway.CodeUpstreamUnreachable), http.StatusBadGateway, g.around(3000)
		r.EgressIP, r.UpstreamAddr, r.BytesOut = "", "", 331
		g.list = append(g.list, r)
	}
}

func customerNamed(id string) customer {
	for _, c := range customers {
		if c.id == id {
			return c
		}
	}
	panic("no customer of the demo is called " + id)
}

func serviceNamed(name string) service {
	for _, s := range services {
		if s.name == name {
			return s
		}
	}
	panic("no client of the demo is called " + name)
}

// wrongStep is the demo's call by its name.
func wrongStep(name string) step {
	for _, st := range refused {
		if st.operation == name {
			return st
		}
	}
	panic("no call of the demo is called " + name)
}
