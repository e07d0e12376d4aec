package soak

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jiragate/internal/jirasim"
)

// A judge that finds nothing wrong proves nothing: these are what it must find.

func TestLedgerFindsWhatIsWrong(t *testing.T) {
	line := func(id [16]byte, status int) string {
		return fmt.Sprintf(`{"seq":1,"decision":"allow","trace_id":%q,"status":%d}`+"\n", hex.EncodeToString(id[:]), status)
	}
	for name, c := range map[string]struct {
		records func(a, left [16]byte) string
		want    string // part of a violation; empty for none
	}{
		"all as it should be": {func(a, left [16]byte) string { return line(a, 200) + line(left, 499) + line([16]byte{1}, 400) }, ""},
		"no record":           {func(_, left [16]byte) string { return line(left, 0) + line([16]byte{1}, 400) }, "has no record"},
		"two records": {func(a, left [16]byte) string {
			return line(a, 200) + line(a, 200) + line(left, 0) + line([16]byte{1}, 400)
		}, "is the second"},
		"another status": {func(a, left [16]byte) string { return line(a, 502) + line(left, 0) + line([16]byte{1}, 400) }, "the client got 200"},
		"of nobody": {func(a, left [16]byte) string {
			return line(a, 200) + line(left, 0) + line([16]byte{1}, 400) + line([16]byte{2}, 400)
		}, "no call that was made"},
		"one too few": {func(a, left [16]byte) string { return line(a, 200) + line(left, 0) }, "without a trace id"},
	} {
		l := newLedger()
		a, _ := l.begin(false)
		l.end(a, "read", outcome{status: 200})
		left, _ := l.begin(true)
		l.end(left, "left", outcome{})
		l.unknown("malformed", 400)
		if _, err := l.reconcile(strings.NewReader(c.records(a, left))); err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(l.violations, func(v string) bool { return strings.Contains(v, c.want) })
		if (c.want == "") != (len(l.violations) == 0) || c.want != "" && !found {
			t.Errorf("%s: %q, want %q", name, l.violations, c.want)
		}
	}
}

// A failure is explained by a fault of its own connection, at its time and of its kind.
func TestTroubleExplains(t *testing.T) {
	sim := startSim(t, jirasim.Options{})
	tr := newTrouble(sim)
	shaky := &target{connection: "cloud-1", edition: "cloud", trouble: "/ex/jira/1/"}
	calm := &target{connection: "cloud-0", edition: "cloud"}
	before := outcome{status: 502, code: "upstream_unreachable"}
	reset := mischief{name: "reset", fault: jirasim.Fault{Kind: jirasim.ResetBeforeHeaders}, after: time.Minute, fails: upstream}
	began := time.Now()
	if got := tr.explains(shaky, began, before); got != "" {
		t.Errorf("before any fault: %q", got)
	}
	stop := tr.begin(reset, shaky.trouble)
	for name, c := range map[string]struct {
		to   *target
		o    outcome
		want string
	}{
		"its own":            {shaky, before, "reset"},
		"another connection": {calm, before, ""},
		"another status":     {shaky, outcome{status: 500}, ""},
		"no answer":          {shaky, outcome{err: errors.New("EOF")}, ""},
	} {
		if got := tr.explains(c.to, began, c.o); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	stop()
	if got := tr.explains(shaky, time.Now().Add(2*time.Minute), before); got != "" {
		t.Errorf("long after the fault: %q", got)
	}
	defer tr.begin(mischief{name: "refresh", fails: noCredential}, authTrouble)()
	if got := tr.explains(calm, time.Now(), outcome{status: 503, code: "credential_unavailable"}); got != "refresh" {
		t.Errorf("without the authorization server: %q", got)
	}
}

func TestTrends(t *testing.T) {
	samples := func(each float64, odd int) (list []sample) {
		for i := range 16 {
			h := holds{Goroutines: 100 + each*float64(i), Descriptors: 50, RSS: 80 << 20, Heap: 20 << 20}
			if i == odd {
				h.Descriptors = 5000
			}
			list = append(list, sample{holds: h})
		}
		return list
	}
	for name, c := range map[string]struct {
		samples []sample
		want    string
	}{
		"steady":             {samples(0, -1), ""},
		"one odd rest":       {samples(0, 15), ""},
		"a little":           {samples(1, -1), ""},
		"a leak":             {samples(10, -1), "goroutines"},
		"too few to judge":   {samples(100, -1)[:3], ""},
		"few, and they grow": {[]sample{{}, {}, {}, {holds: holds{Descriptors: 30}}}, "descriptors"},
	} {
		var grown []string
		for _, tr := range trends(c.samples, time.Hour) {
			if tr.grown() {
				grown = append(grown, tr.What)
			}
		}
		if got := strings.Join(grown, " "); got != c.want {
			t.Errorf("%s: %q has grown, want %q", name, got, c.want)
		}
	}
	for _, tr := range trends(samples(0, -1), time.Minute) {
		if memory := tr.What == "RSS" || tr.What == "live heap"; tr.Judged == memory {
			t.Errorf("after a minute, %s is judged: %t", tr.What, tr.Judged)
		}
	}
}

func TestReadMetrics(t *testing.T) {
	got := readMetrics([]byte("# HELP a b\na 1\nb{x=\"1 } 2\"} 2.5 \nb{x=\"}\"} 1\nc 1e3\n"))
	if got["a"] != 1 || got["b"] != 3.5 || got["c"] != 1000 || len(got) != 3 {
		t.Errorf("%v", got)
	}
}
