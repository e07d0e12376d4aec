package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"jiragate/gateway/admin"
	"jiragate/policy"
	"jiragate/tokenstore"
)

// states are those of connections, in the order in which they want attention.
var states = []string{
	string(tokenstore.StateNeedsReauthorisation), string(tokenstore.StateExpiring),
	string(tokenstore.StateDisabled), string(tokenstore.StateActive),
}

// functions are what templates can call besides those of package page. reasons says
// what the codes of refusals mean.
func functions(reasons map[string]string) template.FuncMap {
	return template.FuncMap{
		"kind":       badge,
		"effect":     effect,
		"tile":       tile,
		"credential": credentialName,
		"reason":     func(code string) string { return sentence(reasons[code]) },
		"quiet":      quiet,
		"host":       host,
		"reasons":    countReasons,
		"query":      query,
		"role":       func(r admin.Role) string { return string(r) },
		"sentence":   sentence,
		"plural":     plural,
		"change":     change,
		"known":      func(client string) bool { return tokenstore.ValidClientName(client) == nil },
		"table":      func(caption string, rows []recordRow) recordTable { return recordTable{caption, rows} },
		"item":       item,
		"more":       func(first bool, start, next string) pager { return pager{first, start, next} },
		"field":      field,
		"methods":    func() []string { return []string{"GET", "POST", "DELETE", "PUT"} },
		"rest":       func(c admin.Client) int { return c.ConnectionsTotal - len(c.Connections) },
		"deref":      func(b *bool) bool { return b != nil && *b },
	}
}

// recordTable is what the template "records" gets.
type recordTable struct {
	Caption string
	Rows    []recordRow
}

// pager is what the template "more" gets.
type pager struct {
	First       bool
	Start, Next string
}

// navigation is what the template "nav" gets.
type navigation struct {
	Path, Text string
	Current    bool
}

func item(v view, section, text, path string) navigation {
	return navigation{path, text, v.Section == section}
}

// badge is the look of a state, a decision or a verdict.
func badge(state string) string {
	switch state {
	case string(tokenstore.StateActive), "allow", "ok", "verified", "in_use":
		return "good"
	case string(tokenstore.StateExpiring), "announced", "unpublished", "unknown", "degraded":
		return "warn"
	case string(tokenstore.StateNeedsReauthorisation), "deny", "failing", "differs":
		return "bad"
	}
	return ""
}

// effect is the look of what a change of the policy does.
func effect(e policy.Effect) string {
	switch e {
	case policy.EffectLess:
		return "good"
	case policy.EffectMore:
		return "bad"
	case policy.EffectUnsure:
		return "warn"
	}
	return ""
}

func tile(state string) string {
	switch badge(state) {
	case "bad":
		return "alert"
	case "warn":
		return "warn"
	}
	return ""
}

// credentialName is the kind of a credential in words.
func credentialName(kind string) string {
	switch tokenstore.CredentialKind(kind) {
	case tokenstore.KindOAuth2:
		return "OAuth 2.0"
	case tokenstore.KindOAuth1:
		return "OAuth 1.0a"
	case tokenstore.KindBasic:
		return "password"
	case tokenstore.KindPAT:
		return "access token"
	}
	return kind
}

// host is where a Jira is, as short as it can be said.
func host(c admin.Connection) string {
	return strings.TrimPrefix(cmp.Or(c.SiteURL, c.BaseURL, "not known yet"), "https://")
}

// query makes an address of a path and of names with values, of which the empty are
// left out.
func query(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// plural is a noun after a number.
func plural(n any, noun string) string {
	if fmt.Sprint(n) == "1" {
		return noun
	}
	return noun + "s"
}

// change is what a change of the published addresses does, in words.
func change(action string) string {
	switch action {
	case "use":
		return "comes into use"
	case "retire":
		return "is retired"
	}
	return action
}

// sentence begins s with a capital, unless that is a command's name, and ends it with
// a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if !strings.HasPrefix(s, "jiragate ") { // a command is typed as it is written
		r, n := utf8.DecodeRuneInString(s)
		s = string(unicode.ToUpper(r)) + s[n:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}

// field is the time of an address as a field of a form has it, also where the address
// says how long ago that is.
func field(s string, now time.Time) string {
	for _, layout := range []string{inputTime, time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format(inputTime)
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d).UTC().Format(inputTime)
	}
	return ""
}
