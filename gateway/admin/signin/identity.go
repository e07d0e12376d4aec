package signin

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"jiragate/gateway/admin"
)

const (
	// actorPrefix is that of everybody whom the provider knows.
	actorPrefix = "operator:oidc:"
	// maxSubject is that of OpenID Connect Core 1.0 section 2, in characters.
	maxSubject = 255
	// maxActor bounds the part of an actor's name behind the prefix, so that it fits
	// into a record whole.
	maxActor = 200
	maxName  = 64  // characters of a name that is shown
	maxRoles = 500 // values of the roles claim that are looked at
)

// identity is who signs in.
type identity struct {
	actor string // as records name them
	name  string // as they call themselves
	role  admin.Role
}

// statement is a set of claims about somebody.
type statement map[string]any

// complete reports whether the userinfo endpoint needn't be asked: some providers
// say little in an ID token (OpenID Connect Core 1.0 section 5.4).
func (s statement) complete(rolesClaim string) bool {
	_, roles := s.lookup(rolesClaim)
	_, email := s["email"]
	return roles && email
}

// lookup finds a claim of that name, or else follows its dots.
func (s statement) lookup(name string) (any, bool) {
	if v, ok := s[name]; ok { // a name may be an URL
		return v, true
	}
	at := map[string]any(s)
	for {
		key, rest, more := strings.Cut(name, ".")
		v, ok := at[key]
		if !ok || !more {
			return v, ok
		}
		if at, ok = v.(map[string]any); !ok {
			return nil, false
		}
		name = rest
	}
}

func (s statement) text(name string) string {
	v, _ := s[name].(string)
	return v
}

// statements are what a provider says of somebody. Of each claim, the first counts
// that has it.
type statements []statement

// identity reads who it is.
func (s statements) identity(p *Provider) identity {
	return identity{actor: s.actor(), name: s.name(), role: s.role(p)}
}

// role is the highest of those that the roles claim gives.
func (s statements) role(p *Provider) admin.Role {
	best := p.Roles[Everybody]
	for _, of := range s {
		claim, ok := of.lookup(p.RolesClaim)
		if !ok {
			continue
		}
		for _, value := range values(claim) {
			if r, ok := p.Roles[value]; ok && r.Includes(best) {
				best = r
			}
		}
		break
	}
	return best
}

// values are those of a claim that is a string or a list of strings.
func values(claim any) []string {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case []any:
		var all []string
		for _, v := range claim[:min(len(claim), maxRoles)] {
			if v, ok := v.(string); ok {
				all = append(all, v)
			}
		}
		return all
	}
	return nil
}

// actor is the name in records. It must not be one that somebody can choose: the
// address, if the provider has verified it, or the identifier.
func (s statements) actor() string {
	for _, of := range s {
		email, ok := of["email"]
		if !ok {
			continue
		}
		// The verdict must be of the same statement as the address. Some providers
		// send it as a string.
		verified := of["email_verified"] == true || of["email_verified"] == "true"
		if email, ok := email.(string); ok && verified && plainAddress(email) {
			return actorPrefix + email
		}
		break
	}
	sub := s[0].text("sub")
	if escaped := url.PathEscape(sub); len(escaped) <= maxActor {
		return actorPrefix + "sub:" + escaped
	}
	sum := sha256.Sum256([]byte(sub))
	return actorPrefix + "sub-sha256:" + hex.EncodeToString(sum[:])
}

// plainAddress reports whether an address can stand in a record as it is: no quotes,
// no comments, no colons, and no letters that look like others.
func plainAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || len(s) > maxActor {
		return false
	}
	return !strings.ContainsFunc(local+domain, func(c rune) bool {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", c) // RFC 5322 section 3.2.3
	})
}

// name is what somebody calls themselves, for a greeting.
func (s statements) name() string {
	for _, claim := range []string{"name", "preferred_username", "email", "sub"} {
		for _, of := range s {
			if name := printable(of.text(claim)); name != "" {
				return name
			}
		}
	}
	return "somebody"
}

// printable leaves out what has no look of its own, or changes that of the rest.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || c != ' ' && !unicode.IsPrint(c) { // format characters (Cf) aren't printable either
			return -1
		}
		return c
	}, s)
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > maxName {
		s = string([]rune(s)[:maxName-1]) + "…"
	}
	return s
}
