package gateway_test

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jiragate/gateway"
	"jiragate/internal/jirasim"
	"jiragate/policy"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// slowJira adds the connection "slow" to a Jira that is h, and returns a URL of it
// and a client that may use it.
func (w *world) slowJira(credential tokenstore.Credential, h http.HandlerFunc) (string, *http.Client) {
	w.t.Helper()
	jira := httptest.NewUnstartedServer(h)
	jira.StartTLS()
	w.t.Cleanup(func() { jira.CloseClientConnections(); jira.Close() })
	w.addConnection(tokenstore.Connection{
		ID: "slow", Edition: policy.DataCenter, BaseURL: jira.URL, Region: tokenstore.RegionUS, CredentialKind: credential.Kind,
		UpstreamCA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: jira.Certificate().Raw})),
	}, credential)
	return jira.URL + "/rest/api/2/priority", w.client("patient", w.addClient("patient", "slow"))
}

func aPassword() tokenstore.Credential {
	return tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "jira-bot", Password: secret.New("a long enough password")}
}

func aToken() tokenstore.Credential {
	return tokenstore.Credential{Kind: tokenstore.KindPAT, Token: secret.New("a-token-that-is-long-enough-0123456789")}
}

func oneAtATime(_ *world, o *gateway.Options) {
	o.Pacing.Concurrency, o.Pacing.Queue, o.Pacing.Wait = 1, 100, 10*time.Second
}

// await waits until something has come about.
func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for range 1000 {
		if reached() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s did not come about", what)
}

// What was taken away while a call waited for its turn is not there when it comes.
func TestCallThatWaitsIsLookedAtAgain(t *testing.T) {
	for name, takeAway := range map[string]func(*world) error{
		"connection disabled": func(w *world) error {
			return w.store.SetState(w.t.Context(), "slow", tokenstore.StateDisabled, "")
		},
		"grant revoked":  func(w *world) error { return w.store.Revoke(w.t.Context(), "patient", "slow") },
		"client removed": func(w *world) error { return w.store.RemoveClient(w.t.Context(), "patient") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change{gateway: oneAtATime})
			var reached atomic.Int64
			release := make(chan struct{})
			url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
				reached.Add(1)
				<-release
				_, _ = rw.Write([]byte("[]"))
			})
			var calls sync.WaitGroup
			calls.Go(func() { _, _ = w.try(client, "GET", url, "") })
			await(t, "the first call", func() bool { return reached.Load() == 1 })
			var second reply
			calls.Go(func() { second, _ = w.try(client, "GET", url, "") })
			time.Sleep(200 * time.Millisecond) // it waits for its turn
			if err := takeAway(w); err != nil {
				t.Fatal(err)
			}
			close(release)
			calls.Wait()
			if reached.Load() != 1 || second.Response == nil || second.StatusCode != 403 {
				t.Errorf("%d calls reached Jira; the second was answered %+v", reached.Load(), second.problem)
			}
		})
	}
}

// A token that Jira refuses is not sent by the calls that waited behind the first.
func TestRefusedTokenIsNotSentByWaitingCalls(t *testing.T) {
	w := newWorld(t, change{gateway: oneAtATime})
	var reached atomic.Int64
	release := make(chan struct{})
	url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		<-release
		rw.WriteHeader(http.StatusUnauthorized)
	})
	var calls sync.WaitGroup
	for range 12 {
		calls.Go(func() { _, _ = w.try(client, "GET", url, "") })
	}
	await(t, "the first call", func() bool { return reached.Load() == 1 })
	time.Sleep(200 * time.Millisecond) // the others wait for their turn
	close(release)
	calls.Wait()
	if n := reached.Load(); n != 1 {
		t.Errorf("a refused token was sent %d times", n)
	}
}

// The text of an error that comes in drips neither keeps its client waiting, nor the
// connection taken once that has left.
func TestErrorInDrips(t *testing.T) {
	for _, credential := range []tokenstore.Credential{aPassword(), aToken()} {
		t.Run(string(credential.Kind), func(t *testing.T) {
			w := newWorld(t, change{gateway: oneAtATime})
			var reached atomic.Int64
			url, client := w.slowJira(credential, func(rw http.ResponseWriter, r *http.Request) {
				if reached.Add(1) > 1 {
					_, _ = rw.Write([]byte("[]"))
					return
				}
				rw.WriteHeader(http.StatusInternalServerError)
				for r.Context().Err() == nil {
					_, _ = rw.Write([]byte("x"))
					_ = http.NewResponseController(rw).Flush()
					time.Sleep(50 * time.Millisecond)
				}
			})
			ctx, leave := context.WithTimeout(t.Context(), 8*time.Second)
			defer leave()
			request := must(http.NewRequestWithContext(ctx, "GET", url, http.NoBody))(t)
			response, err := client.Do(request)
			if err != nil || response.StatusCode != 500 {
				t.Fatalf("an error in drips: %v", err)
			}
			leave()
			response.Body.Close()
			if r := w.call(client, "GET", url, ""); r.StatusCode != 200 {
				t.Errorf("after its client has left: %d %s", r.StatusCode, r.body)
			}
		})
	}
}

// Its wait comes through, whatever becomes of the rest of Jira's 429.
func TestWaitOfABrokenAnswer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"broken off": func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(429)
			_, _ = rw.Write([]byte("slow down"))
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler)
		},
		"encoded": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			rw.WriteHeader(429)
			_, _ = rw.Write([]byte("not even gzip"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change{})
			url, client := w.slowJira(aToken(), func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Retry-After", "7")
				answer(rw, r)
			})
			r, err := w.try(client, "GET", url, "")
			if r.Response == nil || r.StatusCode != 429 || r.Header.Get("Retry-After") != "7" || !strings.Contains(r.Header.Get("Proxy-Status"), "upstream_rate_limited") {
				t.Errorf("%v %+v", err, r)
			}
		})
	}
}

// A read is not repeated with its new token while Jira asks the connection to wait.
func TestRenewedCallKeepsThePause(t *testing.T) {
	w := newWorld(t, change{})
	client := w.billing()
	myself, priority := w.sim.SiteURL()+"/rest/api/3/myself", w.sim.SiteURL()+"/rest/api/3/priority"
	w.call(client, "GET", myself, "")
	w.sim.ExpireAccessTokens()
	before := w.sent()
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Origin: jirasim.AuthServer, Delay: 2 * time.Second})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.RateLimit, Origin: jirasim.CloudAPI, PathPrefix: "/rest/api/3/priority", Delay: 40 * time.Second, Reason: "jira-quota-tenant-based", Times: 1})
	var renewed reply
	var calls sync.WaitGroup
	calls.Go(func() { renewed, _ = w.try(client, "GET", myself, "") })
	await(t, "the call with the old token", func() bool { return w.sent() == before+1 })
	if r := w.call(client, "GET", priority, ""); r.StatusCode != 429 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	calls.Wait()
	if w.sent() != before+2 || renewed.Response == nil || renewed.StatusCode != 429 || renewed.problem.Code != "jira_asked_to_wait" {
		t.Errorf("%d calls, the renewed one was answered %+v", w.sent()-before, renewed.problem)
	}
	w.noteTokens("acme")
}

// A call that has to be refused for its credential takes no points from the others.
func TestRefusedCredentialCostsNoPoints(t *testing.T) {
	w := newWorld(t, change{gateway: func(_ *world, o *gateway.Options) { o.Pacing.AppPoints = 300 }})
	credential := must(w.store.Credential(t.Context(), "acme"))(t)
	if err := w.store.RequireReauthorisation(t.Context(), "acme", credential.Generation, "gone"); err != nil {
		t.Fatal(err)
	}
	client := w.billing()
	for range 40 {
		if r := w.call(client, "GET", w.sim.SiteURL()+"/rest/api/3/project/search", ""); r.problem.Code != "credential_needs_reauthorisation" {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
	}
}

// A 401 that is no matter of the token costs no renewal, and keeps its name.
func TestRefusalBy401IsNamed(t *testing.T) {
	const body = `{"code":401,"message":"Your site admin must authorize this app for the site acme.atlassian.net before the app can access your account."}`
	w := newWorld(t, change{sim: func(o *jirasim.Options) { o.HTTP1Only = true }})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Raw, Origin: jirasim.CloudAPI, Value: "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n" +
		"Content-Type: application/json\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body})
	w.call(w.billing(), "GET", w.sim.SiteURL()+"/rest/api/3/priority", "")
	if code, _ := w.newest(); code != "upstream_app_refused" || w.sim.TokenStats().Refreshes != 0 {
		t.Errorf("recorded as %q, after %d refreshes", code, w.sim.TokenStats().Refreshes)
	}
}
