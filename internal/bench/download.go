package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	speed  = "MB/s"
	grown  = "MiB more at its peak"
	atPeak = "MiB resident at its peak"
)

func downloadSection() section {
	return section{
		name: "download", title: "A large answer",
		columns: []column{{speed, 0}, {grown, 0}, {atPeak, 0}},
		note:    "1 GiB by one connection.",
		measure: func(ctx context.Context, r *run) error {
			ways, err := r.peers(ctx)
			if err != nil {
				return err
			}
			return r.inTurn(ctx, ways, func(w *way) error { return r.download(w) })
		},
	}
}

// download takes one large answer.
func (r *run) download(w *way) error {
	const most = 5 * time.Minute
	c, err := w.caller(most)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	var took time.Duration
	take := func() error {
		began := time.Now()
		err := c.drain(pathOf(kindLarge, r.large), r.large<<20)
		took = time.Since(began)
		return w.failed("reading a large answer", err)
	}
	if w.process == nil {
		err = take()
	} else {
		var resident, peak int64
		if resident, err = w.process.memory(); err != nil {
			return err
		}
		if peak, err = w.process.peak(take); err == nil {
			r.results.add("download", w.name, grown, mebibytes(max(0, peak-resident)))
			r.results.add("download", w.name, atPeak, mebibytes(peak))
		}
	}
	if err != nil {
		return err
	}
	r.results.add("download", w.name, speed, float64(r.large)*1.048576/took.Seconds())
	return nil
}

// drain takes an answer of so many bytes.
func (c *caller) drain(path string, want int) error {
	response, err := c.fetch(bufio.NewReaderSize(c.conn, 64<<10), path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, piece := 0, make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(piece)
		got += n
		switch {
		case errors.Is(err, io.EOF) && got == want:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%d bytes came, not %d", got, want)
		case err != nil:
			return err
		}
	}
}
