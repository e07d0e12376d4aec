package limit_test

import (
	"fmt"
	"testing"
	"time"

	"jiragate/gateway/limit"
)

// BenchmarkPlaces is a place taken and given back: by one, and by many while others hold
// some.
func BenchmarkPlaces(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 8 << 10, Wait: time.Second, Queue: 256})
		b.ReportAllocs()
		for b.Loop() {
			h, err := p.Take(b.Context(), "billing", 1)
			if err != nil {
				b.Fatal(err)
			}
			h.Release()
		}
	})
	b.Run("a thousand clients", func(b *testing.B) {
		p := limit.NewPlaces(limit.PlacesOptions{Total: 8 << 10, Wait: time.Second, Queue: 256})
		names := make([]string, 1000)
		for i := range names {
			names[i] = fmt.Sprintf("service-%04d", i)
			if _, err := p.Take(b.Context(), names[i], 1); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			h, err := p.Take(b.Context(), names[i%len(names)], 1)
			if err != nil {
				b.Fatal(err)
			}
			h.Release()
			i++
		}
	})
}

func BenchmarkBuckets(b *testing.B) {
	rate := limit.PerSecond[string](1e9, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if wait := rate.Take("billing"); wait > 0 {
			b.Fatal(wait)
		}
	}
}
