package register

import (
	"path/filepath"
	"testing"
	"time"
)

// InUse is asked at each dial: it must not allocate, however long the history.
func TestInUseIsCheap(t *testing.T) {
	h := &history{}
	at := noon
	for range maxChanges / 2 {
		for _, action := range []Action{ActionUse, ActionRetire} {
			if err := h.apply(Change{at, first, action, at.Add(time.Second)}); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Second)
		}
	}
	r := &Register{}
	r.current.Store(h)
	if n := testing.AllocsPerRun(100, func() { r.InUse(first, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkInUse(b *testing.B) {
	r, err := Open(filepath.Join(b.TempDir(), "f"), "us")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := r.Announce(first, noon, noon); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !r.InUse(first, noon) {
			b.Fatal("not in use")
		}
	}
}
