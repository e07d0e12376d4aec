package index

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func gramsOf(s string) (list []uint64) {
	grams(s, func(h uint64) { list = append(list, h) })
	return list
}

// TestPartsHaveNoOtherGrams: else a filter would strike out a block that holds them.
func TestPartsHaveNoOtherGrams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab0-9é]{16,200}`).Draw(t, "text")
		all := gramsOf(text)
		from := rapid.IntRange(0, len(text)-window).Draw(t, "from")
		to := rapid.IntRange(from+window, len(text)).Draw(t, "to")
		part := gramsOf(text[from:to])
		if len(part) == 0 {
			t.Fatal("no gram")
		}
		for _, h := range part {
			if !slices.Contains(all, h) {
				t.Fatalf("%q has a gram that %q has not", text[from:to], text)
			}
		}
	})
}

func TestGramsAreTheSmallestOfTheirWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 60, 200).Draw(t, "text")
		var want []uint64
		for i := 0; i+window <= len(text); i++ {
			smallest := ^uint64(0)
			for j := i; j+gramSize <= i+window; j++ {
				h := uint64(0)
				for k := range gramSize {
					h |= uint64(text[j+k]) << (8 * k)
				}
				smallest = min(smallest, mix(h))
			}
			want = append(want, smallest)
		}
		if got, want := gramsOf(text), slices.Compact(want); !slices.Equal(got, want) {
			t.Fatalf("%q: %d grams, want %d", text, len(got), len(want))
		}
	})
}

// TestFoldedFilterLosesNothing: every bit that was set is set where it is looked for,
// in filters of any number and fill.
func TestFoldedFilterLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filters := make([]*filter, rapid.IntRange(1, 40).Draw(t, "blocks"))
		set := map[[2]int]bool{}
		fill := rapid.SampledFrom([]int{0, 1, 10, 300, 9000}).Draw(t, "bits")
		step := rapid.IntRange(1, 5000).Draw(t, "step")
		for n := range filters {
			filters[n] = new(filter)
			for i := range fill {
				bit := (n + i*step) % filterRows
				filters[n][bit/64] |= 1 << (bit % 64)
				set[[2]int{n, bit}] = true
			}
		}
		l := fold(filters)
		parts := l.transpose(filters)
		found := 0
		for n := range filters {
			for row := range l.rows {
				part, at := l.bit(row, n)
				if parts[part][at/8]>>(at%8)&1 == 1 {
					found++
				}
			}
		}
		wanted := map[[2]int]bool{}
		for at := range set {
			wanted[[2]int{at[0], at[1] % l.rows}] = true
			part, bit := l.bit(at[1]%l.rows, at[0])
			if parts[part][bit/8]>>(bit%8)&1 == 0 {
				t.Fatalf("block %d lost bit %d of %+v", at[0], at[1], l)
			}
		}
		if found != len(wanted) {
			t.Fatalf("%d bits are set, want %d", found, len(wanted))
		}
	})
}

func TestMoreBlocksThanARowHoldsAreNotFiltered(t *testing.T) {
	if l := newLayout(partBits+1, filterRows); l.rows != 0 || l.parts() != 0 {
		t.Errorf("%+v", l)
	}
	if l := newLayout(partBits, filterRows); l.rows == 0 || l.parts() != filterRows {
		t.Errorf("%+v", l)
	}
}
