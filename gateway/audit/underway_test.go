package audit

import (
	"math/rand/v2"
	"testing"
)

// TestUnderWay: each call is found as long as it is there, and once, whichever others
// share its list.
func TestUnderWay(t *testing.T) {
	j := openTestJournal(t)
	u := &j.pending
	calls := make([]*Pending, 4*len(u.lists))
	for i := range calls {
		calls[i] = &Pending{id: NewID()}
		if !u.add(calls[i]) {
			t.Fatal("a call was refused")
		}
	}
	for n, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(calls)) {
		p := calls[i]
		if u.add(&Pending{id: p.id}) {
			t.Fatal("two calls of one id are under way")
		}
		u.remove(p)
		left := 0
		if n%1000 == 0 {
			for other := range u.all() {
				if left++; other == p {
					t.Fatal("a call is still there")
				}
			}
			if left != u.size {
				t.Fatalf("%d calls are there, and %d are counted", left, u.size)
			}
		}
		if want := len(calls) - n - 1; u.size != want {
			t.Fatalf("%d calls are counted, want %d", u.size, want)
		}
	}
	if !u.add(calls[0]) {
		t.Error("an id is refused whose call is over")
	}
}

func openTestJournal(t *testing.T) *journal {
	t.Helper()
	j, err := openJournal(newFaultyDisk(), t.TempDir(), generationSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() })
	return j
}

// TestMaxPending: calls beyond the bound are turned away and leave nothing behind.
func TestMaxPending(t *testing.T) {
	j := openTestJournal(t)
	d := &draft{line: []byte("{}\n")}
	for range maxPending {
		j.pending.add(&Pending{id: NewID()})
	}
	if _, admitted, err := j.begin(&Pending{id: NewID(), draft: d}); err == nil || admitted {
		t.Errorf("one more: admitted %v, %v", admitted, err)
	}
	if j.pending.size != maxPending || j.current.open != 0 {
		t.Errorf("%d calls under way, %d in the file", j.pending.size, j.current.open)
	}
}
