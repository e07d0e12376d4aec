package gateway

import (
	"strconv"
	"testing"
)

func TestKnownStatus(t *testing.T) {
	for status, want := range map[int]int{0: 0, 200: 200, 404: 404, 299: 200, 499: 400, 599: 500, 600: 500, 999: 500, 42: 500} {
		if got := knownStatus(status); got != want {
			t.Errorf("knownStatus(%d) = %d, want %d", status, got, want)
		}
	}
	kinds, classes := map[int]bool{}, map[string]bool{}
	for status := range 1000 {
		kinds[knownStatus(status)] = true
		classes[statusClass(knownStatus(status))] = true
	}
	if len(kinds) > 70 || len(classes) != 6 {
		t.Errorf("%d statuses in %d classes", len(kinds), len(classes))
	}
}

// What is counted may be of any number of kinds; what is kept for that is not.
func TestCacheIsBounded(t *testing.T) {
	var c cache[int, string]
	made := 0
	for range 2 {
		for i := range 2 * maxMeasuredKinds {
			if got := c.of(i, func(i int) string { made++; return strconv.Itoa(i) }); got != strconv.Itoa(i) {
				t.Fatalf("%d: %s", i, got)
			}
		}
	}
	if want := 3 * maxMeasuredKinds; made != want { // the first half once, the rest each time
		t.Errorf("made %d values, want %d", made, want)
	}
	kept := 0
	c.made.Range(func(any, any) bool { kept++; return true })
	if kept != maxMeasuredKinds {
		t.Errorf("%d values are kept, want %d", kept, maxMeasuredKinds)
	}
}
