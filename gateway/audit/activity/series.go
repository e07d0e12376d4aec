package activity

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxPoints is how many points a [Series] may have.
const MaxPoints = 1500

// ErrWindow says that the window or the step that was asked for cannot be given; the
// message says what can.
var ErrWindow = errors.New("no such series")

// Measures are counts, and percentiles of how long the allowed calls took, in
// milliseconds, within 4.4 %; missing where there was no call.
type Measures struct {
	Counts
	P50 *float64 `json:"p50_ms,omitempty"`
	P95 *float64 `json:"p95_ms,omitempty"`
	P99 *float64 `json:"p99_ms,omitempty"`
}

// Point is what happened in one step.
type Point struct {
	Start time.Time `json:"start"` // UTC
	Measures
}

// Series is what happened from step to step.
type Series struct {
	From        time.Time `json:"from"`         // of the first point
	Until       time.Time `json:"until"`        // the end of the last, exclusive
	StepSeconds int64     `json:"step_seconds"` // of each
	// CompleteSince is from when on the counts are whole. What is before was not kept,
	// or has not been read from the log.
	CompleteSince time.Time `json:"complete_since"`
	Total         Measures  `json:"total"`
	Points        []Point   `json:"points"`
}

// Series counts from step to step. Steps begin at multiples of step since 1970, in UTC,
// so that one of 24 hours is a day; the first holds from, and the last ends at until or
// later. step is a number of whole minutes; of whole hours, where the window begins
// more than 25 hours ago. There are [MaxPoints] steps at most. Errors wrap [ErrWindow].
func (b *Board) Series(from, until time.Time, step time.Duration) (*Series, error) {
	if step < time.Minute || step%time.Minute != 0 {
		return nil, fmt.Errorf("%w: a step of %s is not of whole minutes", ErrWindow, step)
	}
	if !from.Before(until) {
		return nil, fmt.Errorf("%w: it would end at %s, before it begins", ErrWindow, until.UTC().Format(time.RFC3339))
	}
	now, seconds := b.now(), int64(step/time.Second)
	ring := b.hours
	if step%time.Hour != 0 {
		if ring = b.minutes; from.Before(now.Add(-FineHorizon)) {
			return nil, fmt.Errorf("%w: what is more than 25 hours ago is counted by the hour: use a step of whole hours", ErrWindow)
		}
	}
	first := floorDiv(from.Unix(), seconds)
	n := floorDiv(until.Add(step-1).Unix(), seconds) - first
	if n > MaxPoints || until.Unix()-from.Unix() > MaxPoints*seconds {
		return nil, fmt.Errorf("%w: more than %d points: use a longer step", ErrWindow, MaxPoints)
	}
	s := &Series{
		From: time.Unix(first*seconds, 0).UTC(), Until: time.Unix((first+n)*seconds, 0).UTC(), StepSeconds: seconds,
		CompleteSince: b.completeSince(ring, now), Points: make([]Point, n),
	}
	perPoint := seconds / ring.width
	oldest, end := ring.window(now)
	var all summary
	for i := range s.Points {
		var sum summary
		unit := (first + int64(i)) * perPoint
		for u := max(unit, oldest); u < min(unit+perPoint, end); u++ {
			b.collect(ring, u, &sum)
		}
		s.Points[i] = Point{Start: time.Unix((first+int64(i))*seconds, 0).UTC(), Measures: sum.measures()}
		all.merge(&sum)
	}
	s.Total = all.measures()
	return s, nil
}

func (b *Board) completeSince(r *ring, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if kept := r.since(now); kept.After(b.since) {
		return kept
	}
	return b.since
}

// summary is the sum of buckets.
type summary struct {
	counts  Counts
	latency latencies[uint64]
}

func (s *summary) merge(o *summary) {
	s.counts.add(&o.counts)
	for i, n := range o.latency {
		s.latency[i] += n
	}
}

func (s *summary) measures() Measures {
	return Measures{s.counts, s.latency.quantile(0.50), s.latency.quantile(0.95), s.latency.quantile(0.99)}
}

// collect adds one bucket. The mutex is held for no longer, so that no call waits for
// a chart.
func (b *Board) collect(r *ring, unit int64, s *summary) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := r.find(unit)
	if found == nil {
		return
	}
	s.counts.add(&found.counts)
	for i, n := range found.latency {
		s.latency[i] += uint64(n)
	}
}

// CodeCount is how many calls were refused with a code.
type CodeCount struct {
	Code  string `json:"code"`
	Calls uint64 `json:"calls"`
}

// Refusals counts the refused calls of a window by code, the most first. The window is
// widened to whole minutes; to whole hours, where it begins more than 25 hours ago, and
// is cut at the horizon. Codes beyond the first 64 that occurred count as "other".
func (b *Board) Refusals(from, until time.Time) []CodeCount {
	now := b.now()
	ring := b.minutes
	if from.Before(now.Add(-FineHorizon)) {
		ring = b.hours
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var sums [maxCodes + 1]uint64
	unit, end := ring.window(now)
	for unit = max(unit, floorDiv(from.Unix(), ring.width)); unit < end; unit++ {
		if !time.Unix(unit*ring.width, 0).Before(until) {
			break
		}
		bucket := ring.find(unit)
		if bucket == nil {
			continue
		}
		for code, n := range bucket.refused {
			sums[code] += uint64(n)
		}
	}
	list := []CodeCount{}
	for code, n := range sums {
		if n > 0 {
			list = append(list, CodeCount{b.codes.text(uint16(code)), n})
		}
	}
	slices.SortFunc(list, func(a, b CodeCount) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Code, b.Code))
	})
	return list
}
