package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// injected draws a credential and returns what authorise remembers of it.
func injected(t *rapid.T) secrets {
	var s secrets
	text := rapid.OneOf(rapid.StringMatching(`[ -~]{1,40}`), rapid.StringMatching(`[A-Za-z0-9+/_.-]{8,80}`), rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	if rapid.Bool().Draw(t, "token") {
		bearer(secret.New(text.Draw(t, "token")), &s)
		return s
	}
	c := tokenstore.Credential{Kind: tokenstore.KindBasic, Username: rapid.StringMatching(`[a-z-]{0,10}`).Draw(t, "user"), Password: secret.New(text.Draw(t, "password"))}
	if _, err := authorization(&http.Request{}, &c, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// What anchors find is what looking for each form finds, in texts that hold a form,
// a part of one, or none.
func TestAnchorsMissNoForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := injected(t)
		all := s.all()
		if len(all) == 0 {
			t.Skip("nothing to look for")
		}
		form := rapid.SampledFrom(all).Draw(t, "form")
		from := rapid.SampledFrom([]int{0, 0, 0, 1, len(form) / 2}).Draw(t, "from")
		around := rapid.StringMatching(`[ -~]{0,20}`)
		answer := []byte(around.Draw(t, "before") + string(form[from:]) + around.Draw(t, "after"))
		want := false
		for _, f := range all {
			want = want || bytes.Contains(answer, f)
		}
		if s.in(answer) != want || s.inText(string(answer)) != want {
			t.Fatalf("%q in %q: found %v, which is to be %v", all, answer, !want, want)
		}
		longest := 0
		for _, f := range all {
			for n := 1; n < len(f) && n <= len(answer); n++ {
				if bytes.HasPrefix(f, answer[len(answer)-n:]) {
					longest = max(longest, n)
				}
			}
		}
		if got := s.tail(answer); got != longest {
			t.Fatalf("of %q %d bytes are held back, which are to be %d", answer, got, longest)
		}
	})
}

// A stream is stopped where it holds a form, however it is cut into pieces, before
// the form has passed.
func TestScannerFindsEachForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := injected(t)
		all := s.all()
		if len(all) == 0 {
			t.Skip("nothing to look for")
		}
		form := string(rapid.SampledFrom(all).Draw(t, "form"))
		answer := strings.Repeat(" ", rapid.IntRange(0, 9).Draw(t, "before")) + form + " "
		scan := scanner{secrets: s}
		var passed bytes.Buffer
		for rest := answer; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			pass, ok := scan.next([]byte(rest[:n]))
			passed.Write(pass)
			if rest = rest[n:]; !ok {
				if all.in(passed.Bytes()) {
					t.Fatalf("%q was passed on", passed.String())
				}
				return
			}
		}
		t.Fatalf("%q was not found", form)
	})
}

// Forms are made only where there is something to look for: an answer that names the
// user, say, is none.
func TestFormsAreMadeWhereTheyMayBe(t *testing.T) {
	var s secrets
	c := tokenstore.Credential{Kind: tokenstore.KindBasic, Username: "jira-bot", Password: secret.New("correct&horse")}
	if _, err := authorization(&http.Request{}, &c, &s); err != nil {
		t.Fatal(err)
	}
	if s.in([]byte(`{"name":"jira-bot"}`)) || s.forms != nil {
		t.Error("the forms were made for the user's name")
	}
	if s.in([]byte(`"incorrect"`)) || s.forms == nil {
		t.Error("the forms were not looked for where a part of them is")
	}
	if fmt.Sprintf("%v %+v", s, s) == "" || strings.Contains(fmt.Sprintf("%v %+v", s, s), "horse") {
		t.Error("secrets print themselves")
	}
}

// The longest run is the first of the longest.
func TestLongestRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé.]{0,40}`).Draw(t, "text")
		want := ""
		for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return r < 'a' || r > 'z' }) {
			if len(run) > len(want) {
				want = run
			}
		}
		if got := longestRun(text); got != want {
			t.Fatalf("of %q it is %q, which is to be %q", text, got, want)
		}
	})
}
