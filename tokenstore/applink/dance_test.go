package applink_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

func TestDance(t *testing.T) {
	for _, contextPath := range []string{"/jira", "/", "/a.b/c~d"} {
		t.Run(contextPath, func(t *testing.T) {
			w := newWorld(t, jirasim.Options{AutoApprove: true, ContextPath: contextPath})
			request, err := w.request(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(request.AuthorizeURL, w.sim.DataCenterURL()+"/plugins/servlet/oauth/authorize?oauth_token=") {
				t.Errorf("page %s", request.AuthorizeURL)
			}
			back := w.browse(t, request.AuthorizeURL)
			if back.Get("oauth_token") != request.Token.Reveal() || back.Get("state") != "a+b" {
				t.Errorf("callback %v", back)
			}
			access, err := w.access(soon(t), request, back.Get("oauth_verifier"))
			if err != nil {
				t.Fatal(err)
			}
			if access.Lifetime != 157680000*time.Second {
				t.Errorf("lifetime %v, want five years", access.Lifetime)
			}
			if res := w.call(t, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself", "", access.Token); res.StatusCode != 200 {
				t.Errorf("myself answers %d", res.StatusCode)
			}
			for _, r := range w.sim.Requests() {
				if r.Method == "POST" && (r.Header.Get("User-Agent") != "jiragate" || r.Header.Get("Cookie") != "" || len(r.Body) != 0) {
					t.Errorf("%s with %v and %q", r.RequestURI, r.Header, r.Body)
				}
			}
		})
	}
}

func TestDanceRefused(t *testing.T) {
	approved := func(t *testing.T, w *world) (applink.Request, string) {
		t.Helper()
		w.sim.SetConsent(jirasim.ConsentApprove)
		request, err := w.request(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		return request, w.browse(t, request.AuthorizeURL).Get("oauth_verifier")
	}
	for _, row := range []struct {
		name string
		run  func(*testing.T, *world) error
		want error
		text string
	}{
		{"unknown consumer", func(t *testing.T, w *world) error {
			w.sim.RemoveConsumer(consumer().Key)
			_, err := w.request(soon(t))
			return err
		}, applink.ErrConsumer, "consumer_key_unknown"},
		{"another key", func(t *testing.T, w *world) error {
			other, err := applink.NewKey()
			if err != nil {
				t.Fatal(err)
			}
			c := applink.Consumer{Key: consumer().Key, PrivateKey: other}
			_, err = applink.RequestToken(soon(t), w.transport, w.sim.DataCenterURL(), c, callback)
			return err
		}, applink.ErrConsumer, "signature_invalid"},
		{"refused on the page", func(t *testing.T, w *world) error {
			w.sim.SetConsent(jirasim.ConsentDeny)
			request, err := w.request(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			verifier := w.browse(t, request.AuthorizeURL).Get("oauth_verifier")
			sent := len(w.sim.Requests())
			_, err = w.access(soon(t), request, verifier)
			if len(w.sim.Requests()) != sent {
				t.Error("a refusal was carried to Jira")
			}
			return err
		}, applink.ErrDenied, ""},
		{"refused, and tried all the same", func(t *testing.T, w *world) error {
			w.sim.SetConsent(jirasim.ConsentDeny)
			request, err := w.request(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			w.browse(t, request.AuthorizeURL)
			_, err = w.access(soon(t), request, "guess")
			return err
		}, applink.ErrDenied, "permission_denied"},
		{"not approved yet", func(t *testing.T, w *world) error {
			request, err := w.request(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.access(soon(t), request, "guess")
			return err
		}, applink.ErrToken, "permission_unknown"},
		{"wrong verifier", func(t *testing.T, w *world) error {
			request, _ := approved(t, w)
			_, err := w.access(soon(t), request, "guess")
			return err
		}, applink.ErrToken, "token_rejected"},
		{"used twice", func(t *testing.T, w *world) error {
			request, verifier := approved(t, w)
			if _, err := w.access(soon(t), request, verifier); err != nil {
				t.Fatal(err)
			}
			_, err := w.access(soon(t), request, verifier)
			return err
		}, applink.ErrToken, "token_rejected"},
		{"callback that is none", func(t *testing.T, w *world) error {
			_, err := applink.RequestToken(soon(t), w.transport, w.sim.DataCenterURL(), consumer(), "/callback")
			return err
		}, applink.ErrAnswer, "parameter_rejected"},
		{"without the context path", func(t *testing.T, w *world) error {
			base := strings.TrimSuffix(w.sim.DataCenterURL(), "/jira")
			_, err := applink.RequestToken(soon(t), w.transport, base, consumer(), callback)
			return err
		}, applink.ErrAnswer, "context path"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, jirasim.Options{})
			err := row.run(t, w)
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
				t.Errorf("error %v, want %v with %q", err, row.want, row.text)
			}
		})
	}
}

func TestClocksApart(t *testing.T) {
	for off, want := range map[time.Duration]string{
		10 * time.Minute: "the gateway's is ",
		-time.Hour:       "Jira's is ",
	} {
		w := newWorld(t, jirasim.Options{Now: func() time.Time { return time.Now().Add(off) }})
		if _, err := w.request(soon(t)); !errors.Is(err, applink.ErrClock) || !strings.Contains(err.Error(), want) {
			t.Errorf("off by %v: %v, want %q", off, err, want)
		}
	}
}

func TestDanceDisturbed(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault jirasim.Fault
		want  error
	}{
		{"reset", jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, applink.ErrUnavailable},
		{"reset half-way", jirasim.Fault{Kind: jirasim.ResetAfterHeaders}, applink.ErrUnavailable},
		{"truncated", jirasim.Fault{Kind: jirasim.Truncate}, applink.ErrUnavailable},
		{"5xx", jirasim.Fault{Kind: jirasim.ErrorStatus}, applink.ErrUnavailable},
		{"too many requests", jirasim.Fault{Kind: jirasim.ErrorStatus, Status: 429}, applink.ErrUnavailable},
		{"HTML, 502", jirasim.Fault{Kind: jirasim.HTMLPage}, applink.ErrUnavailable},
		{"HTML, 200", jirasim.Fault{Kind: jirasim.HTMLPage, Status: 200}, applink.ErrAnswer},
		{"HTML, 403", jirasim.Fault{Kind: jirasim.HTMLPage, Status: 403}, applink.ErrAnswer},
		{"redirect", jirasim.Fault{Kind: jirasim.Redirect}, applink.ErrAnswer},
		{"redirect that keeps the method", jirasim.Fault{Kind: jirasim.Redirect, Status: 307}, applink.ErrAnswer},
		{"endless", jirasim.Fault{Kind: jirasim.Endless}, applink.ErrAnswer},
		{"reflected", jirasim.Fault{Kind: jirasim.ReflectBody}, applink.ErrAnswer},
		{"no HTTP", jirasim.Fault{Kind: jirasim.Raw, Value: "SSH-2.0-OpenSSH_9.9 oauth_token=SECRET\r\n\r\n"}, applink.ErrUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, jirasim.Options{AutoApprove: true, HTTP1Only: true})
			request, err := w.request(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			verifier := w.browse(t, request.AuthorizeURL).Get("oauth_verifier")
			row.fault.Method = "POST"
			w.sim.Fault(row.fault)
			sent := len(w.sim.Requests())
			_, err = w.request(soon(t))
			if !errors.Is(err, row.want) {
				t.Errorf("request token: %v, want %v", err, row.want)
			}
			wantNoSecret(t, err, "SECRET", "evil.example", "oauth_signature", newKey().Reveal())
			_, err = w.access(soon(t), request, verifier)
			if !errors.Is(err, row.want) {
				t.Errorf("access token: %v, want %v", err, row.want)
			}
			wantNoSecret(t, err, "SECRET", "evil.example", "oauth_signature", newKey().Reveal(), request.Token.Reveal(), verifier)
			if got := len(w.sim.Requests()) - sent; got != 2 {
				t.Errorf("%d requests were sent for two legs", got)
			}
		})
	}
}

func TestTheContextBoundsADance(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Latency, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.request(ctx); !errors.Is(err, applink.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late answer: %v", err)
	}
	w.sim.ClearFaults()
	w.sim.Fault(jirasim.Fault{Kind: jirasim.Endless, Delay: time.Hour})
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.request(ctx); !errors.Is(err, applink.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("endless answer: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := w.request(ctx); !errors.Is(err, applink.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	base := w.sim.DataCenterURL()
	_, err := applink.RequestToken(soon(t), http.DefaultTransport, base, consumer(), callback)
	if !errors.Is(err, applink.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	w.transport.CloseIdleConnections()
	_, err = applink.RequestToken(soon(t), w.transport, base, consumer(), callback)
	if !errors.Is(err, applink.ErrUnavailable) || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestWhatTheCallerGivesIsChecked(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	good := applink.Request{Token: secret.New("token")}
	for name, err := range map[string]error{
		"http":        second(applink.RequestToken(soon(t), w.transport, "http://jira.example", consumer(), callback)),
		"no host":     second(applink.RequestToken(soon(t), w.transport, "https:///jira", consumer(), callback)),
		"password":    second(applink.RequestToken(soon(t), w.transport, "https://user:SECRET@jira.example", consumer(), callback)),
		"query":       second(applink.RequestToken(soon(t), w.transport, "https://jira.example/?SECRET", consumer(), callback)),
		"broken":      second(applink.RequestToken(soon(t), w.transport, "https://jira.example/%SECRET", consumer(), callback)),
		"no key":      second(applink.RequestToken(soon(t), w.transport, w.sim.DataCenterURL(), applink.Consumer{Key: "k"}, callback)),
		"no name":     second(applink.RequestToken(soon(t), w.transport, w.sim.DataCenterURL(), applink.Consumer{PrivateKey: newKey()}, callback)),
		"no verifier": second(applink.AccessToken(soon(t), w.transport, w.sim.DataCenterURL(), consumer(), good, "")),
		"no token":    second(applink.AccessToken(soon(t), w.transport, w.sim.DataCenterURL(), consumer(), applink.Request{}, "v")),
	} {
		if err == nil || errors.Is(err, applink.ErrUnavailable) || errors.Is(err, applink.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
		wantNoSecret(t, err, "SECRET")
	}
	if n := len(w.sim.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func second[T any](_ T, err error) error { return err }
