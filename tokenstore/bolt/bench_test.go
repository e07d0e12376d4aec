package bolt_test

import (
	"fmt"
	"testing"

	"jiragate/tokenstore"
	"jiragate/tokenstore/bolt"
	"jiragate/tokenstore/storetest"
)

// fleet is a store with as many connections as a busy region has.
func fleet(b *testing.B) *bolt.Store {
	b.Helper()
	s := mustOpen(b, options(b))
	client := tokenstore.Client{Name: "reports", TokenSHA256: storetest.Token("t")}
	for i := range 200 {
		c := storetest.CloudConnection(fmt.Sprintf("customer-%03d", i))
		must(b, s.AddConnection(b.Context(), c, storetest.OAuth2(fmt.Sprintf("%02000d", i))))
		client.Connections = append(client.Connections, c.ID)
	}
	must(b, s.AddClient(b.Context(), client))
	return s
}

func BenchmarkDirectory(b *testing.B) {
	s, sum := fleet(b), storetest.Token("t")
	b.ReportAllocs()
	for b.Loop() {
		d := s.Directory()
		c, _ := d.ClientByTokenSHA256(sum)
		if !c.Granted("customer-077") {
			b.Fatal("not granted")
		}
		if _, ok := d.Connection("customer-077"); !ok {
			b.Fatal("not there")
		}
	}
}

func BenchmarkCredential(b *testing.B) {
	s := fleet(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Credential(b.Context(), "customer-077"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplaceCredential(b *testing.B) {
	s := fleet(b)
	c := storetest.OAuth2(fmt.Sprintf("%02000d", 1))
	g := storetest.FirstGeneration(s, "customer-077")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.ReplaceCredential(b.Context(), "customer-077", g, c); err != nil {
			b.Fatal(err)
		}
		g++
	}
}

func BenchmarkSetState(b *testing.B) {
	s := fleet(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.SetState(b.Context(), "customer-077", tokenstore.StateDisabled, fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRemoveConnection includes the shredding, in a store of many issues.
func BenchmarkRemoveConnection(b *testing.B) {
	s := fleet(b)
	for n := range 20 {
		var issues []tokenstore.PublishedIssue
		for i := range tokenstore.MaxImport {
			id := 1 + n*tokenstore.MaxImport + i
			issues = append(issues, tokenstore.PublishedIssue{Connection: "customer-077", ID: fmt.Sprint(id), Key: fmt.Sprint("ACME-", id)})
		}
		if _, err := s.ImportIssues(b.Context(), "customer-077", issues); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		must(b,
			s.AddConnection(b.Context(), storetest.CloudConnection("acme"), storetest.OAuth2("1")),
			storetest.Remove(b.Context(), s, "acme"))
	}
}

// BenchmarkRegion is a store of 100,000 connections: what opening it costs, and the
// change of one of them, after which the directory is read anew.
func BenchmarkRegion(b *testing.B) {
	o := options(b)
	s, err := bolt.Open(b.Context(), o)
	must(b, err)
	must(b, bolt.Fill(s, 100_000, func(i int) (tokenstore.Connection, tokenstore.Credential) {
		id := fmt.Sprintf("customer-%06d", i)
		return storetest.CloudConnection(id), storetest.OAuth2(id)
	}))
	mustClose(b, s)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := bolt.Open(b.Context(), o)
			must(b, err)
			mustClose(b, s)
		}
	})
	s = mustOpen(b, o)
	b.Run("change one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			must(b, s.SetState(b.Context(), "customer-077077", tokenstore.StateDisabled, fmt.Sprint(i)))
		}
	})
	b.Run("replace one", func(b *testing.B) {
		g := storetest.FirstGeneration(s, "customer-055055")
		for b.Loop() {
			must(b, s.ReplaceCredential(b.Context(), "customer-055055", g, storetest.OAuth2("1")))
			g++
		}
	})
	b.Run("credential", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := s.Credential(b.Context(), "customer-055055")
			must(b, err)
		}
	})
}
