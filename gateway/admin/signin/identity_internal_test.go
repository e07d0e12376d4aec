package signin

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"jiragate/gateway/admin"
)

// Nobody can have the name of somebody else in the records by what they say of
// themselves.
func TestActors(t *testing.T) {
	long := strings.Repeat("é", 120)
	for name, test := range map[string]struct{ claims, want string }{
		"verified":              {`{"sub":"1","email":"ada@example.com","email_verified":true}`, "ada@example.com"},
		"verified, as text":     {`{"sub":"1","email":"ada@example.com","email_verified":"true"}`, "ada@example.com"},
		"not verified":          {`{"sub":"1","email":"ada@example.com","email_verified":false}`, "sub:1"},
		"nothing said of it":    {`{"sub":"1","email":"ada@example.com"}`, "sub:1"},
		"a list":                {`{"sub":"1","email":"ada@example.com","email_verified":[true]}`, "sub:1"},
		"a number":              {`{"sub":"1","email":"ada@example.com","email_verified":1}`, "sub:1"},
		"preferred_username":    {`{"sub":"1","preferred_username":"ada@example.com","name":"ada@example.com","email_verified":true}`, "sub:1"},
		"no address":            {`{"sub":"1","email":"admin-token","email_verified":true}`, "sub:1"},
		"looks like an id":      {`{"sub":"1","email":"sub:2@example.com","email_verified":true}`, "sub:1"},
		"letters that look so":  {`{"sub":"1","email":"аda@example.com","email_verified":true}`, "sub:1"}, // Cyrillic
		"two addresses":         {`{"sub":"1","email":"ada@example.com@evil.example","email_verified":true}`, "sub:1"},
		"a line of its own":     {`{"sub":"1","email":"ada@example.com\nx","email_verified":true}`, "sub:1"},
		"no text":               {`{"sub":"1","email":["ada@example.com"],"email_verified":true}`, "sub:1"},
		"very long":             {`{"sub":"1","email":"` + strings.Repeat("a", 200) + `@x.example","email_verified":true}`, "sub:1"},
		"an id like an address": {`{"sub":"ada@example.com"}`, "sub:ada@example.com"},
		"an id with lines":      {`{"sub":"a\nb\u202ec%"}`, "sub:a%0Ab%E2%80%AEc%25"},
		"a long id":             {`{"sub":"` + long + `"}`, "sub-sha256:"},
	} {
		var s statement
		if err := json.Unmarshal([]byte(test.claims), &s); err != nil {
			t.Fatal(err)
		}
		got := statements{s}.actor()
		if test.want == "sub-sha256:" {
			if !strings.HasPrefix(got, "operator:oidc:sub-sha256:") || len(got) > 100 {
				t.Errorf("%s: %q", name, got)
			}
		} else if got != "operator:oidc:"+test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	// A verdict on one address doesn't make another good.
	for _, s := range []statements{
		{{"sub": "1", "email": "ada@example.com"}, {"sub": "1", "email": "eve@example.com", "email_verified": true}},
		{{"sub": "1", "email_verified": true}, {"sub": "1", "email": "ada@example.com"}},
	} {
		if got := s.actor(); got != "operator:oidc:sub:1" {
			t.Errorf("%v: %q", s, got)
		}
	}
}

func TestNames(t *testing.T) {
	for want, s := range map[string]statement{
		"Ada Lovelace":                       {"name": " Ada\u202e Lovelace\n", "preferred_username": "ada"},
		"ada":                                {"name": "\u200b", "preferred_username": "ada"},
		"ada@example.com":                    {"email": "ada@example.com"},
		"1":                                  {"sub": "1"},
		"somebody":                           {"name": 1},
		"Zoë 张":                              {"name": "Zoë 张"},
		strings.Repeat("é", maxName-1) + "…": {"name": strings.Repeat("é", 1000)},
	} {
		if got := (statements{s}).name(); got != want {
			t.Errorf("%v: %q, want %q", s, got, want)
		}
	}
}

func TestRoles(t *testing.T) {
	roles := map[string]admin.Role{"a": admin.RoleAdmin, "c": admin.RoleCompliance, "v": admin.RoleViewer}
	everybody := map[string]admin.Role{Everybody: admin.RoleViewer, "c": admin.RoleCompliance}
	for _, test := range []struct {
		claim, claims string
		roles         map[string]admin.Role
		want          admin.Role
	}{
		{"roles", `{"roles":"c"}`, roles, admin.RoleCompliance},
		{"roles", `{"roles":["v","a","c"]}`, roles, admin.RoleAdmin},
		{"roles", `{"roles":["c","v"]}`, roles, admin.RoleCompliance},
		{"roles", `{"roles":[]}`, roles, admin.RoleNone},
		{"roles", `{"roles":["*"]}`, roles, admin.RoleNone},
		{"roles", `{"roles":{"a":true}}`, roles, admin.RoleNone},
		{"roles", `{"roles":null}`, roles, admin.RoleNone},
		{"roles", `{"roles":[["a"]]}`, roles, admin.RoleNone},
		{"roles", `{"Roles":"a"}`, roles, admin.RoleNone},
		{"roles", `{}`, everybody, admin.RoleViewer},
		{"roles", `{"roles":["c"]}`, everybody, admin.RoleCompliance},
		{"x.y.z", `{"x":{"y":{"z":["a"]}}}`, roles, admin.RoleAdmin},
		{"x.y.z", `{"x":{"y":"a"}}`, roles, admin.RoleNone},
		{"x.y.z", `{"x":{"y":{"z":{"a":1}}}}`, roles, admin.RoleNone},
		{"x.y", `{"x.y":"v","x":{"y":"a"}}`, roles, admin.RoleViewer},
		{"https://e.example/roles", `{"https://e.example/roles":"a"}`, roles, admin.RoleAdmin},
	} {
		var s statement
		if err := json.Unmarshal([]byte(test.claims), &s); err != nil {
			t.Fatal(err)
		}
		if got := (statements{s}).role(&Provider{RolesClaim: test.claim, Roles: test.roles}); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.claim, test.claims, got, test.want)
		}
	}
	// The userinfo says nothing of what the ID token has said.
	two := statements{{"roles": "v"}, {"roles": "a"}}
	if got := two.role(&Provider{RolesClaim: "roles", Roles: roles}); got != admin.RoleViewer {
		t.Errorf("of two, the second counts: %q", got)
	}
}

func FuzzIdentity(f *testing.F) {
	for _, s := range []string{
		`{"sub":"1","roles":["a"]}`, `{"sub":"1","x":{"y":"a"},"x.y":[1]}`, `{"sub":"\u0000","email":"a@b","email_verified":"true","name":"\ud800"}`, `{"roles":[{"a":1}]}`, `{"a":"roles"}`,
	} {
		f.Add(s, "roles")
		f.Add(s, "x.y")
	}
	f.Fuzz(func(t *testing.T, claims, name string) {
		var s statement
		if json.Unmarshal([]byte(claims), &s) != nil || s == nil {
			t.Skip()
		}
		is := statements{s}.identity(&Provider{RolesClaim: name, Roles: map[string]admin.Role{"a": admin.RoleAdmin}})
		if is.role != admin.RoleNone && !strings.Contains(claims, `"a"`) && !strings.Contains(claims, `\u00`) {
			t.Errorf("%s gives %q", claims, is.role)
		}
		rest, ok := strings.CutPrefix(is.actor, actorPrefix)
		if !ok || len(is.actor) > 256 || strings.ContainsFunc(is.actor, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("actor %q", is.actor)
		}
		if strings.Contains(rest, ":") && !strings.HasPrefix(rest, "sub:") && !strings.HasPrefix(rest, "sub-sha256:") {
			t.Errorf("actor %q", is.actor)
		}
		if is.name == "" || len([]rune(is.name)) > maxName || strings.ContainsFunc(is.name, unicode.IsControl) {
			t.Errorf("name %q", is.name)
		}
	})
}
