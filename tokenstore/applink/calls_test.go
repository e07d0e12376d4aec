package applink_test

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jiragate/internal/jirasim"
	"jiragate/tokenstore/applink"
	"jiragate/tokenstore/secret"
)

func (w *world) token(t *testing.T) secret.Secret {
	t.Helper()
	token, err := w.sim.IssueLinkToken(consumer().Key)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(token)
}

func TestSignedCalls(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	token := w.token(t)
	const issue = `{"fields":{"project":{"key":"ACME"},"issuetype":{"id":"10002"},"summary":"x"}}`
	for _, row := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", "/rest/api/2/myself", "", 200},
		{"GET", "/rest/api/2/user/picker?query=m%20k&exclude=b&exclude=a&showAvatar=true", "", 200},
		{"GET", "/rest/api/2/user/picker?query=m+k%2B%25&exclude=a&exclude=a", "", 200},
		{"GET", "/rest/api/2/user/assignable/search?project=ACME&username=Gr%C3%BCn", "", 200},
		{"GET", "/rest/api/2/project/N%C3%96NE/components", "", 404},
		{"POST", "/rest/api/2/issue?updateHistory=true", issue, 201},
		{"DELETE", "/rest/api/2/issue/ACME-1?deleteSubtasks=true", "", 204},
	} {
		if res := w.call(t, row.method, w.sim.DataCenterURL()+row.target, row.body, token); res.StatusCode != row.status || applink.Problem(res.Header) != "" {
			t.Errorf("%s %s: %d %v, want %d", row.method, row.target, res.StatusCode, res.Header.Values("WWW-Authenticate"), row.status)
		}
	}
}

// Whatever the query, what is signed is what Jira verifies. The verification in
// the simulator is written from the RFC, and knows nothing of oauth1.
func TestAnyQueryCanBeSigned(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	token := w.token(t)
	part := rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune("ab=&+ %~-._;,/?:@\"'()*€ü")), rapid.Rune()), 0, 6, -1)
	rapid.Check(t, func(rt *rapid.T) {
		var pairs []string
		for range rapid.IntRange(0, 4).Draw(rt, "pairs") {
			pairs = append(pairs, escapeSome(rt, part.Draw(rt, "name"))+"="+escapeSome(rt, part.Draw(rt, "value")))
		}
		res := w.call(t, "GET", w.sim.DataCenterURL()+"/rest/api/2/myself?"+strings.Join(pairs, "&"), "", token)
		if res.StatusCode != 200 {
			rt.Fatalf("status %d, %s", res.StatusCode, applink.Problem(res.Header))
		}
	})
}

// escapeSome encodes a string one way or another that means the same.
func escapeSome(rt *rapid.T, s string) string {
	const upper, lower = "0123456789ABCDEF", "0123456789abcdef"
	digits := rapid.SampledFrom([]string{upper, lower}).Draw(rt, "digits")
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == ' ' && rapid.Bool().Draw(rt, "plus"):
			b.WriteByte('+')
		case ('a' <= c && c <= 'z' || strings.IndexByte("~-._/?:@,()*", c) >= 0) && rapid.Bool().Draw(rt, "plain"):
			b.WriteByte(c)
		default:
			b.WriteString("%" + digits[c>>4:c>>4+1] + digits[c&15:c&15+1])
		}
	}
	return b.String()
}

func TestProblemsOfCalls(t *testing.T) {
	w := newWorld(t, jirasim.Options{})
	target := w.sim.DataCenterURL() + "/rest/api/2/myself"
	if res := w.call(t, "GET", target, "", secret.New("nonsense")); res.StatusCode != 401 || applink.Problem(res.Header) != "token_rejected" {
		t.Errorf("unknown token: %d %s", res.StatusCode, applink.Problem(res.Header))
	}
	token := w.token(t)
	w.sim.RemoveConsumer(consumer().Key)
	if res := w.call(t, "GET", target, "", token); res.StatusCode != 401 || applink.Problem(res.Header) != "consumer_key_unknown" {
		t.Errorf("removed link: %d %s", res.StatusCode, applink.Problem(res.Header))
	}
	// A 401 that has nothing to do with signatures.
	res, err := w.transport.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", target, nil)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 || applink.Problem(res.Header) != "" {
		t.Errorf("without credentials: %d %s", res.StatusCode, applink.Problem(res.Header))
	}
}

func TestEachSignatureIsItsOwn(t *testing.T) {
	r, err := http.NewRequest("GET", "https://jira.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	one, err1 := applink.Sign(r, consumer(), secret.New("token"))
	two, err2 := applink.Sign(r, consumer(), secret.New("token"))
	if err1 != nil || err2 != nil || one == two {
		t.Errorf("the same signature twice, or %v, %v", err1, err2)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
