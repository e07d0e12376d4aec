package shards_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"jiragate/internal/shards"
)

// Each version is what a plain map would be, and stays so whatever comes after it.
func TestVersions(t *testing.T) {
	// So many keys that some share a part.
	key := rapid.Map(rapid.IntRange(0, 3000), func(i int) string { return fmt.Sprint("key-", i) })
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			m    shards.Map[int]
			want map[string]int
		}
		versions := []version{{want: map[string]int{}}}
		for range rapid.IntRange(1, 5).Draw(t, "versions") {
			from := rapid.SampledFrom(versions).Draw(t, "from")
			d, want := from.m.Draft(rapid.IntRange(0, 5000).Draw(t, "room")), maps.Clone(from.want)
			for range rapid.IntRange(0, 200).Draw(t, "changes") {
				k := key.Draw(t, "key")
				if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
					d.Delete(k)
					delete(want, k)
				} else {
					v := rapid.Int().Draw(t, "value")
					d.Set(k, v)
					want[k] = v
				}
				got, ok := d.Get(k)
				if v, there := want[k]; got != v || ok != there {
					t.Fatalf("the draft has %d, %v for %s", got, ok, k)
				}
			}
			versions = append(versions, version{d.Map(), want})
		}
		for i, v := range versions {
			if got := slices.Sorted(v.m.Keys()); !slices.Equal(got, slices.Sorted(maps.Keys(v.want))) || v.m.Len() != len(got) {
				t.Fatalf("version %d has the keys %q, and says %d", i, got, v.m.Len())
			}
			for k, want := range v.want {
				if got, ok := v.m.Get(k); !ok || got != want {
					t.Fatalf("version %d has %d, %v for %s", i, got, ok, k)
				}
			}
			if _, ok := v.m.Get("key"); ok {
				t.Fatal("there is what nobody put in")
			}
		}
	})
}

func TestKeysCanBeLeftEarly(t *testing.T) {
	var m shards.Map[int]
	d := m.Draft(0)
	d.Set("a", 1)
	d.Set("b", 2)
	m = d.Map()
	n := 0
	for range m.Keys() {
		n++
		break
	}
	if n != 1 {
		t.Error(n)
	}
}

func BenchmarkMap(b *testing.B) {
	var m shards.Map[int]
	d := m.Draft(100_000)
	for i := range 100_000 {
		d.Set(fmt.Sprint("customer-", i), i)
	}
	m = d.Map()
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v, _ := m.Get("customer-77077"); v != 77077 {
				b.Fatal(v)
			}
		}
	})
	b.Run("change one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := m.Draft(m.Len())
			d.Set("customer-77077", 77077)
			m = d.Map()
		}
	})
}
