package echo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestVerdict: the verdict is what the package comment says, in whatever order the
// services are asked.
func TestVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]Outcome{OutcomeOK, OutcomeMismatch, OutcomeFailed}), 1, maxServices).Draw(t, "outcomes")
		count := map[Outcome]int{}
		var answers []Answer
		for _, o := range outcomes {
			count[o]++
			answers = append(answers, Answer{Outcome: o})
		}
		answered := len(outcomes) - count[OutcomeFailed]
		got := judge(answers)
		if (got == VerdictVerified) != (answered > 0 && count[OutcomeOK] == answered) {
			t.Errorf("%v: %s", outcomes, got)
		}
		if (got == VerdictDiffers) != (count[OutcomeMismatch] > 0) {
			t.Errorf("%v: %s", outcomes, got)
		}
		if (got == VerdictUnknown) != (answered == 0) {
			t.Errorf("%v: %s", outcomes, got)
		}
		rand.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
		if again := judge(answers); again != got {
			t.Errorf("%v: %s in one order, %s in another", outcomes, got, again)
		}
	})
}

func TestReportErrNamesTheFirstOnly(t *testing.T) {
	var r Report
	for i := range 100 {
		r.Addresses = append(r.Addresses, AddressReport{
			Public:  netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i)),
			Verdict: VerdictDiffers,
			Answers: []Answer{{Service: "https://a.example", Outcome: OutcomeMismatch, Seen: netip.MustParseAddr("203.0.113.7")}},
		})
	}
	err := r.Err()
	if !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "published 198.51.100.0, but https://a.example saw 203.0.113.7;") ||
		!strings.Contains(err.Error(), "; and 92 more;") || strings.Contains(err.Error(), "198.51.100.8,") {
		t.Errorf("got %v", err)
	}
}
