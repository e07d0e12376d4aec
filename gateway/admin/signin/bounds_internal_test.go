package signin

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd of one address displaces itself.
func TestFlowsAreBounded(t *testing.T) {
	now := time.Now()
	s := &shelf{}
	s.put(now, "mine", "192.0.2.1", flow{to: "/console/mine"})
	for i := range 2 * maxWaiting {
		s.put(now, fmt.Sprint("crowd ", i), "192.0.2.66", flow{})
	}
	if len(s.items) != maxWaiting {
		t.Errorf("%d flows", len(s.items))
	}
	if f, ok := s.take(now, "mine"); !ok || f.to != "/console/mine" {
		t.Error("the crowd has displaced somebody else")
	}
	if _, ok := s.take(now, "crowd 0"); ok {
		t.Error("the crowd's oldest is still there")
	}
	if _, ok := s.take(now, fmt.Sprint("crowd ", 2*maxWaiting-1)); !ok {
		t.Error("the crowd's newest isn't there")
	}
	s.put(now.Add(waitFor), "late", "192.0.2.1", flow{})
	if len(s.items) != 1 {
		t.Errorf("%d flows, of which the time of all but one is over", len(s.items))
	}
}

func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tries{now: time.Now, byWhom: map[string]time.Time{}}
		takes := func(whom string, known bool, n int) (got int) {
			for range n {
				if s.take(whom, known) == 0 {
					got++
				}
			}
			return got
		}
		if n := takes("a", false, 50); n != triesEach {
			t.Errorf("an address got %d turns", n)
		}
		all := triesEach
		for i := range 50 {
			all += takes(fmt.Sprint(i), false, triesEach)
		}
		if all != triesAll {
			t.Errorf("all addresses got %d turns", all)
		}
		if n := takes("browser", true, 50); n != triesEach {
			t.Errorf("a browser that is known got %d turns", n)
		}
		time.Sleep(triesAllPer)
		if n := takes("new", false, 5); n != 1 {
			t.Errorf("after a while, all got %d turns", n)
		}
		time.Sleep(time.Hour)
		if n := takes("a", false, 50); n != triesEach {
			t.Errorf("after an hour, an address got %d turns", n)
		}
		if wait := s.take("a", false); wait != triesEachPer {
			t.Errorf("it is told to wait %s", wait)
		}
		s.giveBack("a", false)
		if n := takes("a", false, 5); n != 1 {
			t.Errorf("a turn was given back, it got %d", n)
		}
	})
}

func TestTriersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tries{now: time.Now, byWhom: map[string]time.Time{}}
		for range triesEach { // the one with the longest wait stays
			s.take("guesser", true)
		}
		for i := range 3 * maxTriers {
			s.take(fmt.Sprint(i), true)
		}
		if n := len(s.byWhom); n != maxTriers {
			t.Errorf("%d are remembered", n)
		}
		if s.take("guesser", true) == 0 {
			t.Error("a crowd makes it forget who guesses")
		}
		time.Sleep(time.Hour)
		s.take("new", true)
		if n := len(s.byWhom); n != 1 {
			t.Errorf("%d are remembered, of whom one has tried lately", n)
		}
	})
}

func TestHost(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":          "192.0.2.1",
		"[::ffff:192.0.2.1]:1234": "192.0.2.1",
		"[2001:db8::1]:1":         "2001:db8::/64",
		"[2001:db8::f:2]:9":       "2001:db8::/64",
		"[fe80::1%eth0]:9":        "fe80::/64",
		"unix:pid=1":              "unix",
		"":                        "",
	} {
		if got := host(remote); got != want {
			t.Errorf("host(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestKnownBrowsersAreKnownByTheirSeal(t *testing.T) {
	s, other := newSignin(t), newSignin(t)
	id := randomToken()
	for name, test := range map[string]struct {
		value string
		known bool
	}{
		"sealed here":         {id + "." + s.seal("known", id), true},
		"not sealed":          {id, false},
		"sealed elsewhere":    {id + "." + other.seal("known", id), false},
		"for another purpose": {id + "." + s.seal("form", id), false},
		"of another":          {randomToken() + "." + s.seal("known", id), false},
	} {
		r := httptest.NewRequest(http.MethodGet, Path, nil)
		r.AddCookie(&http.Cookie{Name: s.cookieName(cookieKnown), Value: test.value})
		if got := s.known(r) != ""; got != test.known {
			t.Errorf("%s: known %v", name, got)
		}
	}
}

func TestWayToTheProvider(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	roots := x509.NewCertPool()
	way := newTransport(roots)
	if way.Proxy != nil || way.TLSClientConfig.InsecureSkipVerify || way.TLSClientConfig.RootCAs != roots {
		t.Errorf("the way to the provider: %+v", way)
	}
	if c := newClient(nil); c.Timeout != patience || c.Jar != nil {
		t.Errorf("the client: %+v", c)
	}
}
