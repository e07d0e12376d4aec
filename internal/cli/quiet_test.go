package cli

import (
	"slices"
	"testing"
)

// Garbage is collected when nothing has happened for a while, if it is worth that, and once.
func TestQuietTimes(t *testing.T) {
	const mib = 1 << 20
	busy := func(allocated uint64) demand { return demand{allocated: allocated, present: 20 * mib, live: 10 * mib} }
	for _, tt := range []struct {
		name  string
		looks []demand
		want  []bool
	}{
		{"just started", []demand{busy(30 * mib)}, []bool{false}},
		{"busy", []demand{busy(30 * mib), busy(40 * mib), busy(50 * mib)}, []bool{false, false, false}},
		{"quiet", []demand{busy(30 * mib), busy(30 * mib), busy(31 * mib)}, []bool{false, false, true}},
		{"a moment's rest", []demand{busy(30 * mib), busy(30 * mib), busy(40 * mib), busy(40 * mib), busy(40 * mib)}, []bool{false, false, false, false, true}},
		{"collected", []demand{busy(30 * mib), busy(30 * mib), busy(30 * mib), {30 * mib, 10 * mib, 10 * mib}}, []bool{false, false, true, false}},
		{"little garbage", []demand{{30 * mib, 12 * mib, 10 * mib}, {30 * mib, 12 * mib, 10 * mib}, {30 * mib, 12 * mib, 10 * mib}}, []bool{false, false, false}},
	} {
		var q quiet
		var got []bool
		for _, u := range tt.looks {
			got = append(got, q.worth(u))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDemandIsRead(t *testing.T) {
	if d := newDemandReader()(); d.allocated == 0 || d.present == 0 {
		t.Errorf("%+v", d)
	}
}
