package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	firstP50 = "first chunk, p50 µs"
	firstP99 = "first chunk, p99 µs"
	allP50   = "all chunks, p50 µs"
	allP99   = "all chunks, p99 µs"

	// Each slow answer has so many chunks, and so many are read at a time.
	drips       = 10
	dripReaders = 8
)

func streamingSection() section {
	return section{
		name: "streaming", title: "Slow answers in chunks",
		columns: []column{{firstP50, 0}, {firstP99, 0}, {allP50, 0}, {allP99, 0}},
		note:    "From the moment in which Jira sends a chunk until the client has it; a chunk each 10 ms, 8 answers at a time. nginx isn't among them: as it is set up here it gathers an answer first.",
		measure: func(ctx context.Context, r *run) error {
			ways, err := r.only(ctx, direct, goproxyLoop, jiragate)
			if err != nil {
				return err
			}
			return r.inTurn(ctx, ways, func(w *way) error {
				first, all, err := dripped(ctx, w, r.length)
				if err != nil {
					return err
				}
				r.results.add("streaming", w.name, firstP50, micros(first.quantile(.5)))
				r.results.add("streaming", w.name, firstP99, micros(first.quantile(.99)))
				r.results.add("streaming", w.name, allP50, micros(all.quantile(.5)))
				r.results.add("streaming", w.name, allP99, micros(all.quantile(.99)))
				return nil
			})
		},
	}
}

// dripped reads slow answers for d, and tells how old first and all chunks were.
func dripped(ctx context.Context, w *way, d time.Duration) (first, all samples, err error) {
	var mu sync.Mutex
	_, err = measure(ctx, nil, dripReaders, d, func(_ int, t *tally) error {
		c, err := w.caller(2*d + patience)
		if err != nil {
			return err
		}
		defer c.conn.Close()
		in := bufio.NewReader(c.conn)
		for !t.stopped.Load() {
			ages, err := w.drip(c, in)
			if err != nil {
				return w.failed("reading a slow answer", err)
			}
			mu.Lock()
			first, all = append(first, ages[0]), append(all, ages...)
			mu.Unlock()
		}
		return nil
	})
	slices.Sort(first)
	slices.Sort(all)
	return first, all, err
}

// drip reads one slow answer.
func (w *way) drip(c *caller, in *bufio.Reader) (ages samples, err error) {
	response, err := c.fetch(in, pathOf(kindDrip, drips))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	chunk := make([]byte, stampBytes)
	for range drips {
		if _, err := io.ReadFull(response.Body, chunk); err != nil {
			return nil, err
		}
		age, err := ageOf(chunk, time.Now())
		if err != nil {
			return nil, err
		}
		ages = append(ages, age)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return ages, err
}

// ageOf is how long ago a stamp was made.
func ageOf(stamp []byte, now time.Time) (time.Duration, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(string(stamp)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a stamp is %q", stamp)
	}
	return now.Sub(time.Unix(0, n)), nil
}

// fetch asks for a path, and returns the answer as it comes, whatever its framing.
func (c *caller) fetch(in *bufio.Reader, path string) (*http.Response, error) {
	if _, err := c.conn.Write(c.way.get(path)); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return nil, fmt.Errorf("answered with %s: %s", response.Status, b)
	}
	return response, nil
}
