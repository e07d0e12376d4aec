package public_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jiragate/gateway/admin/public"
	"jiragate/gateway/egress/publication"
	"jiragate/policy"
)

func TestThousandVisitorsMakeOnePage(t *testing.T) {
	g := pinned()
	h := g.handler(t, "/")
	visit := func() {
		var wg sync.WaitGroup
		for i := range 1000 {
			path := []string{"/", "/files/egress.json", "/audit/latest.checkpoint", "/files/SHA256SUMS.note"}[i%4]
			wg.Go(func() {
				if answer := ask(h, "GET", path); answer.StatusCode != http.StatusOK {
					t.Errorf("%s: %d", path, answer.StatusCode)
				}
			})
		}
		wg.Wait()
	}
	visit()
	if g.documents != 1 || g.signatures != 1 {
		t.Errorf("%d documents and %d signatures", g.documents, g.signatures)
	}
	g.advance(public.Every - 1)
	if visit(); g.documents != 1 {
		t.Errorf("%d documents before it is time", g.documents)
	}
	g.advance(1)
	if visit(); g.documents != 2 || g.signatures != 1 {
		t.Errorf("%d documents and %d signatures after it is time", g.documents, g.signatures)
	}
	g.advance(-time.Hour) // a clock that is set back
	if visit(); g.documents != 3 {
		t.Errorf("%d documents after the clock was set back", g.documents)
	}
}

// Files that are fetched one after the other fit together, unless what they say has
// changed meanwhile.
func TestPublicationStaysTheSame(t *testing.T) {
	for _, test := range []struct {
		name   string
		after  time.Duration
		change func(g *gateway)
		same   bool
	}{
		{"nothing happens", 30 * time.Second, func(*gateway) {}, true},
		{"the log goes on", 30 * time.Second, func(g *gateway) { g.attest(1204712) }, true},
		{"an hour is nearly over", time.Hour - time.Second, func(*gateway) {}, true},
		{"an hour is over", time.Hour, func(*gateway) {}, false},
		{"an address is announced", 10 * time.Second, func(g *gateway) { g.document.SyncToken = "1795761002" }, false},
		{"the policy changes", 10 * time.Second, func(g *gateway) {
			p, err := policy.New([]byte("version: 1\nrules: [{name: no-deletes, deny: [issue.delete]}]\n"))
			if err != nil {
				panic(err)
			}
			g.document.Policy = p
		}, false},
		{"the key is rotated", 10 * time.Second, func(g *gateway) { g.rotate(2) }, false},
		{"an announced address comes into use", at("2026-12-15T09:00:00Z").Sub(at("2026-11-27T06:30:00Z")), func(*gateway) {}, false},
		{"signing fails after an hour", time.Hour, func(g *gateway) { g.signFailing = errOut }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := pinned()
			h := g.handler(t, "/")
			sums, file := read(t, h, "/files/SHA256SUMS"), read(t, h, "/files/egress.txt")
			g.locked(func() { test.change(g) })
			g.advance(test.after)
			if same := read(t, h, "/files/SHA256SUMS") == sums; same != test.same {
				t.Errorf("the checksums are the same: %v", same)
			}
			if same := read(t, h, "/files/egress.txt") == file; same != test.same {
				t.Errorf("the file is the same: %v", same)
			}
		})
	}
}

// A moment before an address comes into use, it is announced; then it is in use,
// though the publication was made a moment ago.
func TestStatesFollowTheClock(t *testing.T) {
	g := pinned()
	g.now = at("2026-12-15T08:59:55Z")
	h := g.handler(t, "/")
	want := func(address, state string) {
		t.Helper()
		page := read(t, h, "/")
		caption := "Addresses to allow"
		if state == "retired" {
			caption = "Addresses that were in use"
		}
		for _, row := range rows(t, page, caption) {
			if strings.Fields(row[0])[0] == address {
				if row[1] != state {
					t.Errorf("%s is %s, want %s", address, row[1], state)
				}
				return
			}
		}
		t.Errorf("%s is not among the %s", address, caption)
	}
	want("54.144.10.21", "announced")
	want("54.90.200.7", "retired")
	want("52.73.143.252", "in use")
	g.advance(5 * time.Second)
	want("54.144.10.21", "in use")
	g.locked(func() { g.now = at("2027-03-31T21:59:55Z") })
	want("52.73.143.252", "in use")
	g.advance(5 * time.Second)
	want("52.73.143.252", "retired")
}

func TestLastPageIsServedWhenMakingFails(t *testing.T) {
	for name, fail := range map[string]func(g *gateway, broken bool){
		"nothing can be published": func(g *gateway, broken bool) {
			if g.failing = nil; broken {
				g.failing = errOut
			}
		},
		"panic": func(g *gateway, broken bool) { g.panicking = broken },
		"what changed can't be signed": func(g *gateway, broken bool) {
			if g.document.SyncToken, g.signFailing = "1", nil; broken {
				g.signFailing = errOut
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := pinned()
			h := g.handler(t, "/")
			before := read(t, h, "/")
			g.locked(func() { fail(g, true) })
			g.advance(public.StaleFor - 1)
			if read(t, h, "/") != before {
				t.Error("another page")
			}
			asked := g.documents
			if read(t, h, "/"); g.documents != asked {
				t.Error("tried again at once")
			}
			g.advance(1)
			answer := ask(h, "GET", "/")
			if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("a page that is too old: %d", answer.StatusCode)
			}
			if answer := ask(h, "GET", "/files/egress.json"); answer.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a file that is too old: %d", answer.StatusCode)
			}
			g.locked(func() { fail(g, false) })
			g.advance(public.Every)
			read(t, h, "/")
		})
	}
}

func TestNothingUnsignedInPlaceOfSigned(t *testing.T) {
	g := pinned()
	g.signFailing = errOut
	if answer := ask(g.handler(t, "/"), "GET", "/files/SHA256SUMS"); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", answer.StatusCode)
	}
}

// A register that hangs holds up nobody for longer than five seconds.
func TestHangingRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := pinned()
		o := g.options("/")
		o.Now = time.Now
		var hang chan struct{}
		document := o.Document
		o.Document = func() publication.Document {
			if hang != nil {
				<-hang
			}
			d := document()
			d.Created = time.Now()
			return d
		}
		h, err := public.New(o)
		if err != nil {
			t.Fatal(err)
		}
		before := read(t, h, "/")
		hang = make(chan struct{})
		time.Sleep(public.Every)
		start := time.Now()
		if read(t, h, "/") != before || time.Since(start) != 5*time.Second {
			t.Errorf("another page, or after %v", time.Since(start))
		}
		time.Sleep(public.StaleFor)
		if answer := ask(h, "GET", "/"); answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d", answer.StatusCode)
		}
		close(hang)
		synctest.Wait()
		time.Sleep(public.Every)
		read(t, h, "/")
	})
}
