package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
	"jiragate/tokenstore/storetest"
)

// run lets a Manager keep grants alive until the test ends.
func run(t *testing.T, m *Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// fleet is a token endpoint that takes any refresh token, and notes when.
type fleet struct {
	mu      sync.Mutex
	asked   map[string][]time.Time // by refresh token
	atOnce  int
	most    int
	takes   time.Duration
	refused bool
}

func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(body), `"refresh_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	f.mu.Lock()
	if f.asked == nil {
		f.asked = make(map[string][]time.Time)
	}
	f.asked[token] = append(f.asked[token], time.Now())
	f.atOnce++
	f.most = max(f.most, f.atOnce)
	refused := f.refused
	f.mu.Unlock()
	time.Sleep(f.takes)
	f.mu.Lock()
	f.atOnce--
	f.mu.Unlock()
	answer := `{"access_token":"new","refresh_token":"` + token + `","expires_in":3600}`
	res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}
	if refused {
		res.StatusCode, res.Body = 503, io.NopCloser(strings.NewReader("down"))
	}
	return res, nil
}

func (f *fleet) requests() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.asked {
		n += len(at)
	}
	return n
}

// TestResumedAfterRestart: a refresh whose answer was lost with the process is
// gone on with at once, without a call and although the token would do.
func TestResumedAfterRestart(t *testing.T) {
	for name, left := range map[string]time.Duration{"valid": time.Hour, "ended": -time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newAtlassian(), newStore(t, left)
				if _, err := s.BeginRotation(t.Context(), "acme", s.firstGeneration(t)); err != nil {
					t.Fatal(err)
				}
				a.exchange(map[string]any{"client_id": clientID, "client_secret": clientSecret, "grant_type": "refresh_token", "refresh_token": refreshToken(0)})
				time.Sleep(8 * time.Minute) // until somebody starts it again
				run(t, managerOn(t, s, "https://auth.example", inMemory{a}))
				synctest.Wait()
				if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(2) || len(s.standing(t)) != 0 || a.dead {
					t.Errorf("stored: %s; notes: %v", c.RefreshToken.Reveal(), s.standing(t))
				}
			})
		})
	}
}

// TestResumedWhenEnabled: what nobody could go on with while the connection was
// disabled.
func TestResumedWhenEnabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, -time.Second)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		run(t, m)
		a.fail(a.lost)
		wantError(t, m, ErrUnavailable)
		if err := s.SetState(t.Context(), "acme", tokenstore.StateDisabled, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if a.times() != 1 {
			t.Errorf("Atlassian was asked %d times", a.times())
		}
		if err := s.SetState(t.Context(), "acme", tokenstore.StateActive, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + tick)
		if c := s.credential(t); c.RefreshToken.Reveal() != refreshToken(2) {
			t.Errorf("stored: %s", c.RefreshToken.Reveal())
		}
	})
}

// TestRenewedUnasked: who calls all the time never waits, nor gets a token that
// has ended; a token that nobody used isn't renewed.
func TestRenewedUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newAtlassian(), newStore(t, time.Hour)
		s.add(t, "idle", time.Hour)
		m := managerOn(t, s, "https://auth.example", inMemory{a})
		run(t, m)
		wantToken(t, m, accessToken(0))
		time.Sleep(time.Hour)
		if c := s.credential(t); c.AccessToken.Reveal() != accessToken(1) || a.times() != 1 {
			t.Errorf("an hour later %s is stored, after %d requests", c.AccessToken.Reveal(), a.times())
		}
		// It was used an hour ago, and isn't any more.
		time.Sleep(12 * time.Hour)
		if a.times() != 1 {
			t.Errorf("Atlassian was asked %d times", a.times())
		}
		wantToken(t, m, accessToken(2))
		for range 5 * 60 {
			time.Sleep(time.Minute)
			began := time.Now()
			token, err := present(t.Context(), m, "acme")
			if err != nil || time.Since(began) != 0 {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			if c := s.credential(t); c.AccessToken.Reveal() != token.Reveal() || !time.Now().Before(c.Expiry) {
				t.Fatalf("%s, which ends at %v", token.Reveal(), c.Expiry)
			}
		}
		if n := a.times(); n < 7 || n > 8 {
			t.Errorf("%d refreshes in five hours of calls", n-2)
		}
	})
}

// TestRunLeavesAlone what is not its business.
func TestRunLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fleet{}, newStore(t, time.Hour)
		for id, state := range map[string]tokenstore.State{"off": tokenstore.StateDisabled, "gone": tokenstore.StateNeedsReauthorisation} {
			s.add(t, id, time.Hour)
			if err := s.SetState(t.Context(), id, state, ""); err != nil {
				t.Fatal(err)
			}
		}
		s.add(t, "elsewhere", time.Hour)
		s.life(t, "elsewhere", time.Now().Add(time.Hour), time.Now().Add(time.Hour))
		if err := s.AddConnection(t.Context(), tokenstore.Connection{
			ID: "basic", Edition: policy.DataCenter, BaseURL: "https://jira.acme.com", Region: tokenstore.RegionUS, CredentialKind: tokenstore.KindBasic,
		}, tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "u", Password: secret.New("p")}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.BeginRotation(t.Context(), "elsewhere", s.credentialOf(t, "elsewhere").Generation); err != nil {
			t.Fatal(err)
		}
		m := managerOn(t, s, "https://auth.example", f, func(o *Options) {
			o.Serves = func(c *tokenstore.Connection) bool { return c.ID != "acme" && c.ID != "elsewhere" }
		})
		run(t, m)
		time.Sleep(48 * time.Hour)
		if n := f.requests(); n != 0 {
			t.Errorf("%d requests", n)
		}
		if c := s.connectionOf(t, "elsewhere"); c.State != tokenstore.StateActive {
			t.Errorf("state %s", c.State)
		}
	})
}

// life sets the clocks of a credential.
func (s *watchedStore) life(t *testing.T, id string, lapses, ends time.Time) {
	t.Helper()
	c := s.credentialOf(t, id)
	c.LapsesAt, c.EndsAt = lapses.UTC(), ends.UTC()
	if lapses.IsZero() {
		c.LapsesAt = time.Time{}
	}
	if ends.IsZero() {
		c.EndsAt = time.Time{}
	}
	if err := s.Store.ReplaceCredential(t.Context(), id, c.Generation, c); err != nil {
		t.Fatal(err)
	}
}

func (s *watchedStore) credentialOf(t *testing.T, id string) tokenstore.Credential {
	t.Helper()
	c, err := s.Store.Credential(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKeptAlive: refresh tokens that nobody uses are used each month, those of
// imported connections soon, spread over a day, and few at a time.
func TestKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections = 40
		f, s := &fleet{takes: 20 * time.Second}, newStore(t, time.Hour)
		imported := time.Now()
		for i := range connections {
			id := fmt.Sprintf("c%d", i)
			s.add(t, id, time.Hour)
			c := s.credentialOf(t, id)
			c.RefreshToken = secret.New(id)
			if err := s.Store.ReplaceCredential(t.Context(), id, c.Generation, c); err != nil {
				t.Fatal(err)
			}
		}
		if err := storetest.Remove(t.Context(), s, "acme"); err != nil {
			t.Fatal(err)
		}
		m := managerOn(t, s, "https://auth.example", f)
		run(t, m)
		time.Sleep(24 * time.Hour)
		if f.requests() != 0 {
			t.Errorf("%d refreshes on the day of the import", f.requests())
		}
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		if f.requests() != connections || f.most > maxIdle {
			t.Errorf("%d refreshes the day after, %d at once", f.requests(), f.most)
		}
		hours := map[int]int{}
		for _, at := range f.asked {
			hours[int(at[0].Sub(imported)/time.Hour)]++
		}
		for hour, n := range hours {
			if len(hours) < 12 || n > 8 {
				t.Errorf("%d of them in hour %d", n, hour)
			}
		}
		// Four weeks and a half pass, in which nobody calls.
		month := time.Now().Add(12 * time.Hour)
		for i := range connections {
			s.life(t, fmt.Sprintf("c%d", i), month.Add(-keepAliveAfter).Add(idleLife), time.Time{})
		}
		time.Sleep(38 * time.Hour)
		synctest.Wait()
		for token, at := range f.asked {
			if len(at) != 2 || at[1].Before(month) {
				t.Errorf("%s was used at %v", token, at)
			}
		}
		if f.most > maxIdle {
			t.Errorf("%d at once", f.most)
		}
	})
}

// TestEndAnnounced: the absolute end 30 days before, and the lapse of a refresh
// token that can't be used, 14 days before; both end with a new consent or the
// refresh.
func TestEndAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		f, s := &fleet{}, newStore(t, time.Hour)
		s.life(t, "acme", time.Now().Add(idleLife), time.Now().Add(40*day))
		s.add(t, "down", time.Hour)
		s.life(t, "down", time.Now().Add(20*day), time.Time{})
		f.refused = true
		m := managerOn(t, s, "https://auth.example", f)
		run(t, m)
		want := func(id string, state tokenstore.State, reason string) {
			t.Helper()
			if c := s.connectionOf(t, id); c.State != state || !strings.Contains(c.StateReason, reason) {
				t.Errorf("%s: state %s (%s), want %s (%s)", id, c.State, c.StateReason, state, reason)
			}
		}
		want("acme", tokenstore.StateActive, "")
		time.Sleep(5 * day)
		want("down", tokenstore.StateActive, "")
		time.Sleep(2 * day)
		want("down", tokenstore.StateExpiring, "the refresh token lapses at 2000-01-21")
		want("acme", tokenstore.StateActive, "")
		time.Sleep(4 * day)
		want("acme", tokenstore.StateExpiring, "the grant ends at 2000-02-10")
		since := s.connectionOf(t, "acme").UpdatedAt
		// Calls go on.
		f.mu.Lock()
		f.refused = false
		f.mu.Unlock()
		if _, err := present(t.Context(), m, "acme"); err != nil {
			time.Sleep(2 * time.Minute)
			if _, err = present(t.Context(), m, "acme"); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(day)
		want("down", tokenstore.StateActive, "")
		// The refresh doesn't lengthen a grant; it is announced once.
		want("acme", tokenstore.StateExpiring, "the grant ends at 2000-02-10")
		if c := s.connectionOf(t, "acme"); c.UpdatedAt.Before(since) {
			t.Error("updated before it was")
		}
	})
}

// TestRunCatchesUp: many connections whose answers were lost, more than there are
// slots, are gone on with within the leeway.
func TestRunCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections = 100
		f, s := &fleet{takes: time.Second}, newStore(t, time.Hour)
		for i := range connections {
			id := fmt.Sprintf("c%d", i)
			s.add(t, id, time.Hour)
			if _, err := s.BeginRotation(t.Context(), id, s.credentialOf(t, id).Generation); err != nil {
				t.Fatal(err)
			}
		}
		run(t, managerOn(t, s, "https://auth.example", f))
		time.Sleep(connections/maxUrgent*time.Second + 2*time.Second)
		if n := len(s.standing(t)); n != 0 || f.most > maxUrgent || f.requests() != connections {
			t.Errorf("%d notes stand, after %d requests, %d at once", n, f.requests(), f.most)
		}
	})
}

// TestRunDoesNotInsist: what only a person can mend is tried once, and an outage
// for some minutes, or else at a slow pace; calls do the rest.
func TestRunDoesNotInsist(t *testing.T) {
	for _, test := range []struct {
		name        string
		way         func(*http.Request) (*http.Response, error)
		least, most int
	}{
		{"wrong client", inMemory{answerJSON(401, map[string]any{"error": "invalid_client"})}.RoundTrip, 1, 1},
		{"out of reach", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, 10, 25},
		{"down", inMemory{answer(503, "text/html", "")}.RoundTrip, 10 + 23*4, 25 + 24*9},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				m := managerOn(t, newStore(t, time.Hour), "https://auth.example", roundTrip(func(r *http.Request) (*http.Response, error) {
					n++
					return test.way(r)
				}))
				run(t, m)
				wantToken(t, m, accessToken(0))
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if n < test.least || n > test.most {
					t.Errorf("%d requests, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

// BenchmarkSweep is the hourly look at every connection. They are few here
// because adding them takes long; the cost of one doesn't depend on their number.
func BenchmarkSweep(b *testing.B) {
	const connections = 500
	s := newStore(b, time.Hour)
	for i := range connections - 1 {
		s.add(b, fmt.Sprintf("c%d", i), time.Hour)
	}
	k := &keeper{m: New(Options{Store: s})}
	for b.Loop() {
		k.sweep(b.Context())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/connections, "µs/connection")
}
