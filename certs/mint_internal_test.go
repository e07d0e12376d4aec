package certs

import (
	"testing"
	"time"
)

// So many certificates are made at once, and then one at a time.
func TestMintingIsBounded(t *testing.T) {
	a, now := &Authority{}, time.Unix(1_800_000_000, 0)
	for i := range mintBurst {
		if !a.mayMint(now) {
			t.Fatalf("certificate %d is refused", i)
		}
	}
	if a.mayMint(now) {
		t.Error("one more is made")
	}
	if now = now.Add(mintEvery); !a.mayMint(now) || a.mayMint(now) {
		t.Error("after a while it is not one that is made")
	}
	if now = now.Add(-24 * time.Hour); !a.mayMint(now) {
		t.Error("none is made after the clock was set back")
	}
}
