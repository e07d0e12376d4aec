package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"jiragate/gateway/audit"
)

const (
	// streamTime is how long a stream of records lasts: a browser opens the next by
	// itself.
	streamTime = 10 * time.Minute
	// heartbeat keeps proxies from closing a stream on which nothing happens.
	heartbeat = 15 * time.Second
	// streamWriteTimeout is how long who reads a stream may keep it from going on.
	streamWriteTimeout = 30 * time.Second
)

// written is a record that was just written.
type written struct {
	record audit.Record
	missed uint64
}

// streamRecords sends records as they are written, as server-sent events (WHATWG HTML
// section 9.2): "record", of which the data is the line of the log and the id its seq,
// and "missed", of which the data is {"missed": N}, before a record where N were lost.
// Records are sent as calls end, so seq may jump back by a few.
func (a *API) streamRecords(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r, "connection", "client", "operation", "decision", "code", "status", "text", "kind")
	var f audit.Filter
	p.about(&f)
	if p.err != nil {
		return p.err
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	records, err := a.follow(ctx)
	if err != nil {
		cancel()
		w.Header().Set("Retry-After", "60")
		return refuse(http.StatusServiceUnavailable, CodeUnavailable, "%v", err)
	}
	defer func() { // whoever waits for the answer's end may close the log then
		cancel()
		for range records {
		}
	}()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of nginx, which keeps answers back otherwise
	s := &stream{api: a, w: w}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for s.send(": the records of calls and acts as they are written\n\n"); s.err == nil && r.Method != http.MethodHead; {
		select {
		case <-a.reading.ended:
			return nil
		case <-beat.C:
			s.send(": \n\n")
		case one, ok := <-records:
			if !ok {
				return nil
			}
			s.record(f, one)
		}
	}
	return nil // nobody reads it any more
}

// follow gives the records that are written from now on, until ctx ends.
func (a *API) follow(ctx context.Context) (<-chan written, error) {
	all, err := a.o.Log.Watch(ctx)
	if err != nil {
		return nil, err
	}
	records := make(chan written)
	go func() {
		defer close(records)
		for r, missed := range all {
			select {
			case records <- written{r, missed}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return records, nil
}

// stream is an answer that is sent piece by piece.
type stream struct {
	api *API
	w   http.ResponseWriter
	err error // the first
}

func (s *stream) record(f audit.Filter, one written) {
	if one.missed > 0 {
		s.send(fmt.Sprintf("event: missed\ndata: {\"missed\":%d}\n\n", one.missed))
	}
	if f.Matches(&one.record) {
		s.send(fmt.Sprintf("event: record\nid: %d\ndata: %s\n\n", one.record.Seq, one.record.Line()))
	}
}

func (s *stream) send(text string) {
	if s.err != nil {
		return
	}
	s.api.allow(s.w, streamWriteTimeout)
	if _, s.err = s.w.Write([]byte(text)); s.err == nil {
		// In process there may be nothing to flush.
		_ = http.NewResponseController(s.w).Flush()
	}
}
