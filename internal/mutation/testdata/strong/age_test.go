package age

import "testing"

func TestAdult(t *testing.T) {
	for _, tt := range []struct {
		age    int
		ticket bool
		ok     bool
		reason string
	}{
		{18, true, true, ""},
		{17, true, false, "too young"},
		{17, false, false, "too young"},
		{18, false, false, "no ticket"},
	} {
		if ok, reason := Adult(tt.age, tt.ticket); ok != tt.ok || reason != tt.reason {
			t.Errorf("%+v: %t %q", tt, ok, reason)
		}
	}
}
