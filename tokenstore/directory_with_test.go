package tokenstore_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"jiragate/tokenstore"
)

// A directory with changes is what one of all the records would be, and the one before
// stays as it was.
func TestDirectoryWithChanges(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		connections, clients := map[string]tokenstore.Connection{}, map[string]tokenstore.Client{}
		d := tokenstore.NewDirectory(nil, nil)
		for i := range rapid.IntRange(1, 8).Draw(t, "changes") {
			changed, changedClients := map[string]*tokenstore.Connection{}, map[string]*tokenstore.Client{}
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				delete(connections, name)
				changed[name] = nil
			case 1:
				connections[name] = tokenstore.Connection{ID: name, Incarnation: uint64(i)}
				c := connections[name]
				changed[name] = &c
			case 2:
				delete(clients, name)
				changedClients[name] = nil
			case 3:
				token := rapid.SampledFrom(names).Draw(t, "token")
				clients[name] = tokenstore.Client{Name: name, TokenSHA256: sha256.Sum256([]byte(token)), Connections: []string{"z", token}, CertificateSANs: []string{"dns:" + token}}
				c := clients[name]
				changedClients[name] = &c
			}
			before := written(d, names)
			next := d.With(changed, changedClients)
			if written(d, names) != before {
				t.Fatal("the directory before has changed")
			}
			var all []tokenstore.Connection
			for _, c := range connections {
				all = append(all, c)
			}
			var allClients []tokenstore.Client
			for _, c := range clients {
				allClients = append(allClients, c)
			}
			if got, want := written(next, names), written(tokenstore.NewDirectory(all, allClients), names); got != want {
				t.Fatalf("it is\n%s, which is to be\n%s", got, want)
			}
			d = next
		}
	})
}

// written is all that a directory answers.
func written(d *tokenstore.Directory, names []string) (s string) {
	for _, c := range d.Connections() {
		s += fmt.Sprintf("%s %d\n", c.ID, c.Incarnation)
	}
	for _, c := range d.Clients() {
		s += fmt.Sprintf("%s %x %v\n", c.Name, c.TokenSHA256[:4], c.Connections)
	}
	for _, name := range names {
		c, ok := d.Connection(name)
		s += fmt.Sprint(name, ok)
		if ok {
			s += fmt.Sprint(c.Incarnation)
		}
		cl, ok := d.Client(name)
		s += fmt.Sprint(ok)
		if ok {
			s += fmt.Sprint(cl.Connections)
		}
		if by, ok := d.ClientByTokenSHA256(sha256.Sum256([]byte(name))); ok {
			s += " token of " + by.Name
		}
		for _, by := range d.ClientsByCertificateSAN("dns:" + name) {
			s += " san of " + by.Name
		}
		s += "\n"
	}
	return s
}

// What has changed between two directories leads from one to the other, and nothing else is
// named.
func TestDirectoryChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Each name has no record, or one of two; those that are equal are one.
		records := make(map[string]*tokenstore.Connection)
		draw := func(label string) (*tokenstore.Directory, map[string]*tokenstore.Connection) {
			content := map[string]*tokenstore.Connection{}
			var all []*tokenstore.Connection
			for _, id := range []string{"a", "b", "c", "d", "e"} {
				if v := rapid.IntRange(0, 2).Draw(t, label+id); v > 0 {
					key := fmt.Sprint(id, v)
					if records[key] == nil {
						records[key] = &tokenstore.Connection{ID: id, Incarnation: uint64(v)}
					}
					content[id] = records[key]
					all = append(all, records[key])
				}
			}
			return tokenstore.DirectoryOf(all, nil), content
		}
		before, content := draw("before ")
		after, want := draw("after ")
		after.Changes(before, func(old, present *tokenstore.Connection) {
			if old == present {
				t.Fatal("what is the same is named")
			}
			if old != nil {
				if content[old.ID] != old {
					t.Fatalf("%s was another one", old.ID)
				}
				delete(content, old.ID)
			}
			if present != nil {
				content[present.ID] = present
			}
		})
		if !maps.Equal(content, want) {
			t.Fatalf("the changes lead to %v, not to %v", content, want)
		}
	})
}
