package age

import "testing"

// Nothing is tried at the limit, and no reason is looked at.
func TestAdult(t *testing.T) {
	for _, tt := range []struct {
		age        int
		ticket, ok bool
	}{{30, true, true}, {5, true, false}, {30, false, false}} {
		if ok, _ := Adult(tt.age, tt.ticket); ok != tt.ok {
			t.Errorf("%+v", tt)
		}
	}
}
