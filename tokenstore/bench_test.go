package tokenstore_test

import (
	"fmt"
	"testing"

	"jiragate/policy"
	"jiragate/tokenstore"
)

// BenchmarkLargeDirectory is a directory of a region with very many customers: made of all of
// them, and changed by one.
func BenchmarkLargeDirectory(b *testing.B) {
	all := make([]tokenstore.Connection, 100_000)
	for i := range all {
		all[i] = tokenstore.Connection{ID: fmt.Sprintf("customer-%06d", i), Edition: policy.DataCenter, BaseURL: fmt.Sprintf("https://jira-%d.example", i)}
	}
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tokenstore.NewDirectory(all, nil)
		}
	})
	d := tokenstore.NewDirectory(all, nil)
	b.Run("change one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := all[77_077]
			d = d.With(map[string]*tokenstore.Connection{c.ID: &c}, nil)
		}
	})
}
