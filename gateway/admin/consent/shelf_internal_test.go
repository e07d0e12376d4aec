package consent

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However it is used, a shelf is bounded, gives each thing once, and nothing late.
func TestShelf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s shelf[string]
		now := time.Unix(0, 0)
		put := map[string]time.Time{}
		taken := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key := fmt.Sprint("key ", len(put))
				s.put(now, key, digest{rapid.Byte().Draw(t, "owner") % 8}, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "address"), key)
				put[key] = now
			},
			"take": func(t *rapid.T) {
				key := fmt.Sprint("key ", rapid.IntRange(0, len(put)).Draw(t, "key"))
				value, ok := s.take(now, key)
				since, known := put[key]
				if !ok {
					return
				}
				if value != key || !known || taken[key] || now.Sub(since) >= waitFor {
					t.Fatalf("%s: got %q (known %t, taken %t) after %s", key, value, known, taken[key], now.Sub(since))
				}
				taken[key] = true
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				owners := map[digest]int{}
				for _, i := range s.items {
					owners[i.owner]++
				}
				for _, n := range owners {
					if n > maxWaitEach {
						t.Fatalf("%d things of one owner", n)
					}
				}
			},
		})
	})
}

func TestShelfIsBounded(t *testing.T) {
	var s shelf[int]
	now := time.Unix(0, 0)
	for i := range 2 * maxWaiting {
		s.put(now, fmt.Sprint(i), digest{byte(i), byte(i >> 8)}, "a", i)
	}
	if n := len(s.items); n != maxWaiting {
		t.Errorf("%d things wait", n)
	}
	if _, ok := s.take(now, "0"); ok {
		t.Error("the oldest was kept")
	}
	if v, ok := s.take(now, fmt.Sprint(2*maxWaiting-1)); !ok || v != 2*maxWaiting-1 {
		t.Error("the newest was dropped")
	}
	// One owner displaces its own only.
	for i := range 2 * maxWaitEach {
		s.put(now, fmt.Sprint("same ", i), digest{1, 2, 3}, "a", i)
	}
	if _, ok := s.take(now, "same 0"); ok {
		t.Error("the oldest of one owner was kept")
	}
	if _, ok := s.take(now, fmt.Sprint("same ", 2*maxWaitEach-1)); !ok {
		t.Error("the newest of one owner was dropped")
	}
}

// Of one owner's, the address that has most makes room.
func TestShelfIsFairToAddresses(t *testing.T) {
	var s shelf[int]
	now := time.Unix(0, 0)
	s.put(now, "customer", digest{1}, "a", 1)
	s.put(now, "customer again", digest{1}, "a", 2)
	for i := range 3 * maxWaitEach {
		s.put(now, fmt.Sprint("scanner ", i), digest{1}, fmt.Sprint("b", i%3), i)
	}
	for _, key := range []string{"customer", "customer again"} {
		if _, ok := s.take(now, key); !ok {
			t.Errorf("%s was displaced", key)
		}
	}
}
