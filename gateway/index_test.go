package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// However a resolver has come about by changes, it answers as one that is made of the
// present directory alone.
func TestResolverFollowsChanges(t *testing.T) {
	api, _ := url.Parse("https://api.atlassian.com")
	hosts := []string{"a.example", "b.example", "b.example:8443", "not_a_host", "[2001:db8::1]"}
	ids := []string{"a", "b", "c", "d"}
	clouds := []string{"11111111-2222-3333-4444-000000000001", "11111111-2222-3333-4444-000000000002"}
	rapid.Check(t, func(t *rapid.T) {
		dir := tokenstore.NewDirectory(nil, nil)
		s, _ := newResolver(dir, tokenstore.RegionUS, api)
		for i := range rapid.IntRange(1, 12).Draw(t, "changes") {
			changed := map[string]*tokenstore.Connection{}
			for range rapid.IntRange(1, 3).Draw(t, "at once") {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				host := rapid.SampledFrom(hosts).Draw(t, "host")
				c := &tokenstore.Connection{ID: id, Region: tokenstore.RegionUS, State: tokenstore.StateActive, Incarnation: uint64(i + 1)}
				switch rapid.IntRange(0, 2).Draw(t, "what") {
				case 0:
					changed[id] = nil
					continue
				case 1:
					c.Edition, c.SiteURL, c.CloudID = policy.Cloud, "https://"+host, rapid.SampledFrom(clouds).Draw(t, "cloud")
				case 2:
					c.Edition, c.BaseURL = policy.DataCenter, "https://"+host+rapid.SampledFrom([]string{"", "/jira"}).Draw(t, "base")
				}
				changed[id] = c
			}
			dir = dir.With(changed, nil)
			before, present := s, answers(s, hosts, clouds)
			s, _, _ = s.of(dir)
			if answers(before, hosts, clouds) != present {
				t.Fatal("the resolver that calls under way have has changed")
			}
			anew, _ := newResolver(dir, tokenstore.RegionUS, api)
			if got, want := answers(s, hosts, clouds), answers(anew, hosts, clouds); got != want {
				t.Fatalf("after changes:\n%s\nmade anew:\n%s", got, want)
			}
		}
	})
}

func answers(s *resolver, hosts, clouds []string) (all string) {
	targets := []target{}
	for _, h := range hosts {
		if a, err := parseAuthority(h, "443"); err == nil {
			targets = append(targets, target{authority: a, path: "/rest/api/2/myself"}, target{authority: a, path: "/jira/rest/api/2/myself"})
		}
	}
	for _, id := range clouds {
		targets = append(targets, target{authority: atlassianAPI, path: apiPrefix + id + "/rest/api/3/myself"})
	}
	for _, t := range targets {
		all += fmt.Sprint(t, s.Has(t.authority.host()), ":")
		s.candidates(t, func(p place) { all += fmt.Sprintf(" %s/%d%s", p.connection.ID, p.connection.Incarnation, p.base) })
		c, rest, refused := s.resolve(nil, "", t)
		if refused != nil {
			all += " " + refused.detail
		} else {
			all += " " + c.ID + rest
		}
		all += "\n"
	}
	return all + fmt.Sprint(slices.Sorted(s.All()))
}

// What was kept of a connection is dropped when it goes, or becomes another one, and not
// before.
func TestResolverTellsWhatIsGone(t *testing.T) {
	api, _ := url.Parse("https://api.atlassian.com")
	acme := tokenstore.Connection{ID: "acme", Edition: policy.DataCenter, BaseURL: "https://jira.example", Incarnation: 1}
	disabled, other := acme, acme
	disabled.State, other.Incarnation = tokenstore.StateDisabled, 2
	dir := tokenstore.NewDirectory([]tokenstore.Connection{acme}, nil)
	s, err := newResolver(dir, tokenstore.RegionUS, api)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		present *tokenstore.Connection
		gone    bool
	}{"removed": {nil, true}, "another one": {&other, true}, "disabled": {&disabled, false}} {
		next, gone, err := s.of(dir.With(map[string]*tokenstore.Connection{"acme": test.present}, nil))
		if err != nil || gone != test.gone || next.Has("jira.example") != (test.present != nil) {
			t.Errorf("%s: gone %v, host there %v, %v", name, gone, next.Has("jira.example"), err)
		}
	}
}

// BenchmarkResolverAfterAChange is what the first call waits for after a change of one
// connection among many.
func BenchmarkResolverAfterAChange(b *testing.B) {
	dir := manyDirectory()
	api, _ := url.Parse("https://api.atlassian.com")
	s, err := newResolver(dir, tokenstore.RegionEU, api)
	if err != nil {
		b.Fatal(err)
	}
	c, _ := dir.Connection(connectionID(77_077))
	b.ReportAllocs()
	for b.Loop() {
		changed := *c
		next, _, err := s.of(dir.With(map[string]*tokenstore.Connection{c.ID: &changed}, nil))
		if err != nil || !next.Has("jira.customer-77077.example") {
			b.Fatal("it is gone")
		}
	}
}
