package consent

import (
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jiragate/tokenstore"
)

func TestInvitationIsParsedAsItWasMade(t *testing.T) {
	const redirect = "http://127.0.0.1:8081/oauth/callback"
	for _, id := range []string{"a", "acme", "0.a_b-c", strings.Repeat("x", 63)} {
		i, link := NewInvitation(redirect, id, time.Unix(0, 0))
		u, err := url.Parse(link.Reveal())
		if err != nil || u.Path != startPath || u.Host != "127.0.0.1:8081" {
			t.Fatalf("the link can't be parsed (%v), or leads elsewhere", err)
		}
		got, token, ok := parseInvitation(u.Query().Get("invitation"))
		if !ok || got != id || token != i.TokenSHA256 || i.Connection != id {
			t.Errorf("%s: parsed as %q, %t", id, got, ok)
		}
	}
	a, _ := NewInvitation(redirect, "acme", time.Unix(0, 0))
	b, _ := NewInvitation(redirect, "acme", time.Unix(0, 0))
	if a.TokenSHA256 == b.TokenSHA256 {
		t.Error("two invitations are the same")
	}
}

func FuzzInvitation(f *testing.F) {
	token := invitationPrefix + strings.Repeat("A", 43)
	for _, s := range []string{"", "~", "acme~" + token, "acme~~" + token, "../acme~" + token, "acme~" + token + "\n", "acme~" + token[:46] + "B", "acme~" + token + "=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, sum, ok := parseInvitation(s)
		if !ok {
			return
		}
		if tokenstore.ValidConnectionID(id) != nil {
			t.Errorf("%q: %q is no id", s, id)
		}
		rest := strings.TrimPrefix(s, id+invitationMark)
		if len(rest) != len(token) || sha256.Sum256([]byte(rest)) != sum || strings.ContainsAny(rest, " \n&=%+/") {
			t.Errorf("%q has more than one spelling", s)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "state=a&code=b", "state=a&state=b", "code=a", "state=%zz", "state=a;code=b", "state=a&error=access_denied", "oauth_token=a&oauth_verifier=b&state=c", "state", "&&state=a", "state=a&=b&=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		answer, state, ok := parseAnswer(raw)
		if !ok {
			return
		}
		if state == "" || len(raw) > maxQuery {
			t.Errorf("%q was accepted", raw)
		}
		for name, values := range answer {
			if len(values) != 1 {
				t.Errorf("%q: %s stands %d times", raw, name, len(values))
			}
		}
		// Whoever parses it again, in whatever way, sees the same.
		again, err := url.ParseQuery(answer.Encode())
		if err != nil || again.Get("state") != state {
			t.Errorf("%q: the state is %q, then %q", raw, state, again.Get("state"))
		}
	})
}

func FuzzShown(f *testing.F) {
	for _, s := range []string{"", "Acme", "a\nb", "\u202eevil\u2066", "\xff\xfe", strings.Repeat("é", 200), "a\u00a0b", "\u2028", "🦊"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := shown(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxShown+1 {
			t.Errorf("%q is shown as %q", s, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200b || r == 0xfeff {
				t.Errorf("%q is shown with %U", s, r)
			}
		}
	})
}
