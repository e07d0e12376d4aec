package soak

import (
	"fmt"
	"slices"
	"time"
)

// What an idle gateway may hold more of in the last quarter of a soak than in the
// second: a part of what it held, and something for noise. The reasons:
//
//   - Goroutines and descriptors: idle connections to Jira are kept for 90 seconds, up
//     to 32 for each connection, so rests find different numbers of them.
//   - Live heap: the issues that were created and not deleted, the activity of the
//     clients and the tree of the log are kept on purpose, at some bytes a call.
//   - RSS: Go returns memory late, and the peak of a busy moment stays for minutes.
var tolerances = []tolerance{
	{"goroutines", func(h holds) float64 { return h.Goroutines }, 0.10, 40, 0},
	{"descriptors", func(h holds) float64 { return h.Descriptors }, 0.10, 20, 0},
	{"live heap", func(h holds) float64 { return h.Heap }, 0.20, 8 << 20, 4 * time.Minute},
	{"RSS", func(h holds) float64 { return h.RSS }, 0.20, 32 << 20, 4 * time.Minute},
}

// tolerance bounds growth. Memory is judged in soaks of some length only: in the first
// minutes caches fill.
type tolerance struct {
	what  string
	of    func(holds) float64
	part  float64
	noise float64
	from  time.Duration
}

// sample is what the gateway held at the end of a rest.
type sample struct {
	At    time.Duration `json:"at_ns"` // since the start
	Calls int           `json:"calls"`
	holds
}

// rested looks at the gateway until it is as quiet as it gets, and takes the least of
// what it saw in the second half of the rest.
func (p *process) rested(rest time.Duration) (least holds, err error) {
	time.Sleep(rest / 2)
	for i := range 4 {
		time.Sleep(rest / 8)
		h, err := p.holds()
		if err != nil {
			return h, err
		}
		if i == 0 {
			least = h
		}
		least = holds{
			Goroutines: min(least.Goroutines, h.Goroutines), Descriptors: min(least.Descriptors, h.Descriptors),
			RSS: min(least.RSS, h.RSS), Heap: min(least.Heap, h.Heap), Tunnels: min(least.Tunnels, h.Tunnels),
		}
	}
	return least, nil
}

// trend is how much of something an idle gateway held early and late.
type trend struct {
	What    string  `json:"what"`
	Early   float64 `json:"second_quarter"`
	Late    float64 `json:"last_quarter"`
	Allowed float64 `json:"allowed"`
	Judged  bool    `json:"judged"`
}

func (t trend) grown() bool { return t.Judged && t.Late > t.Allowed }

// trends compares the medians of the second and the last quarter of the samples.
func trends(samples []sample, lasted time.Duration) (list []trend) {
	n := len(samples)
	if n < 4 {
		return nil
	}
	for _, tol := range tolerances {
		median := func(of []sample) float64 {
			var values []float64
			for _, s := range of {
				values = append(values, tol.of(s.holds))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		t := trend{What: tol.what, Early: median(samples[n/4 : n/2]), Late: median(samples[n-n/4:]), Judged: lasted >= tol.from}
		t.Allowed = t.Early*(1+tol.part) + tol.noise
		list = append(list, t)
	}
	return list
}

func (t trend) String() string {
	unit, by := "", 1.0
	if t.Allowed > 1<<20 {
		unit, by = " MiB", 1<<20
	}
	verdict := "ok"
	if t.grown() {
		verdict = "GROWN"
	} else if !t.Judged {
		verdict = "not judged, too short"
	}
	return fmt.Sprintf("%-12s %9.1f%s early, %9.1f%s late, %9.1f%s allowed: %s", t.What, t.Early/by, unit, t.Late/by, unit, t.Allowed/by, unit, verdict)
}
