package demo

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"jiragate/internal/jirasim"
)

// How often the demo calls while it is up, and how long it waits for an answer.
const (
	callPause   = 400 * time.Millisecond // on average
	callTimeout = 10 * time.Second
	callAway    = 60 * time.Millisecond // how far away Jira seems, in the median
)

// keepCalling makes calls by the clients of the past until ctx ends: to all
// connections that lead to the simulator, with a wrong one now and then, and one of
// which the simulator makes a mess.
func (s *stage) keepCalling(ctx context.Context) error {
	t, err := s.newTraffic()
	if err != nil {
		return err
	}
	defer t.close()
	pause := func() time.Duration { return time.Duration(float64(callPause) * (0.25 + 1.5*t.rand.Float64())) }
	pacedUntil(ctx, pause, t.call)
	return nil
}

// pacedUntil does what there is to do, after a pause each time, until ctx ends.
func pacedUntil(ctx context.Context, pause func() time.Duration, do func(context.Context)) {
	timer := time.NewTimer(pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		do(ctx)
		timer.Reset(pause())
	}
}

// traffic is what is called while the demo is up, one call after the other.
type traffic struct {
	stage   *stage
	rand    *rand.Rand
	away    time.Duration
	clients map[string]*http.Client // by service
	created map[string]string       // the last issue that was created and not deleted, by site
}

func (s *stage) newTraffic() (*traffic, error) {
	t := &traffic{stage: s, rand: rand.New(rand.NewPCG(8, 2026)), away: callAway, clients: map[string]*http.Client{}, created: map[string]string{}}
	for _, service := range services {
		client, err := s.clientOf(service.name, s.tokens[service.name].Reveal())
		if err != nil {
			return nil, err
		}
		client.Timeout = callTimeout
		t.clients[service.name] = client
	}
	return t, nil
}

func (t *traffic) close() {
	for _, c := range t.clients {
		c.CloseIdleConnections()
	}
}

// live are the customers whose connections lead to the simulator.
func live() []customer {
	return slices.DeleteFunc(slices.Clone(customers), func(c customer) bool { return c.edition != cloud || c.weight == 0 })
}

// call makes one call. What comes of it is for the gateway to record.
func (t *traffic) call(ctx context.Context) {
	c := pick(t.rand, live(), func(c customer) float64 { return c.weight })
	s := pick(t.rand, usersOf(c), func(s service) float64 { return s.weight })
	site, cloudID := c.site(), c.cloudID()
	if s.name == "action-items" && t.rand.IntN(6) == 0 { // the demo's own connection is used, too
		site, cloudID = t.stage.sim.SiteURL(), t.stage.sim.CloudID()
	}
	st := stepOf(cloud, s.operations[t.rand.IntN(len(s.operations))])
	switch odds := t.rand.Float64(); {
	case odds < 0.05:
		wrong := wrongSteps(cloud)
		st = wrong[t.rand.IntN(len(wrong))]
	case odds < 0.08:
		defer t.disturb("/ex/jira/" + cloudID)()
	}
	// Jira is farther away than the simulator.
	away := time.Duration(float64(t.away) * math.Exp(t.rand.NormFloat64()*0.4))
	defer t.stage.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Origin: jirasim.CloudAPI, Delay: away})()
	if st.operation == "issue.delete" && t.created[site] == "" || st.operation == "issue.create" && t.created[site] != "" {
		// One issue at a time: the simulator keeps them all.
		st = stepOf(cloud, map[string]string{"issue.delete": "issue.create", "issue.create": "issue.delete"}[st.operation])
	}
	body, err := t.send(ctx, t.clients[s.name], st, site, t.created[site])
	switch {
	case err != nil:
	case st.operation == "issue.create":
		t.created[site] = createdKey(body)
	case st.operation == "issue.delete":
		delete(t.created, site)
	}
}

// disturb has the simulator answer the next request below path as Jira does on a bad
// day, unless that is called off.
func (t *traffic) disturb(path string) (callOff func()) {
	fault := jirasim.Fault{Kind: jirasim.ErrorStatus, Status: http.StatusInternalServerError}
	switch t.rand.IntN(3) {
	case 0:
		fault = jirasim.Fault{Kind: jirasim.RateLimit, Delay: 15 * time.Second}
	case 1:
		fault = jirasim.Fault{Kind: jirasim.Latency, Delay: 1500 * time.Millisecond}
	}
	fault.Origin, fault.PathPrefix, fault.Times = jirasim.CloudAPI, path, 1
	return t.stage.sim.Fault(fault)
}

// maxAnswer is more than any answer of the simulator's.
const maxAnswer = 1 << 20

func (t *traffic) send(ctx context.Context, client *http.Client, st step, site, created string) ([]byte, error) {
	target := strings.NewReplacer("SITE", site, "CREATED", created).Replace(st.path)
	request, err := http.NewRequestWithContext(ctx, st.method, target, strings.NewReader(st.body))
	if err != nil {
		return nil, err
	}
	if st.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = errors.New(response.Status)
	}
	return body, err
}
