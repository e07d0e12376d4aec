package downstream

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	// maxFrame is what of an answer goes into a frame, so that four of them fill four
	// records of TLS.
	maxFrame = 16<<10 - frameHead
	// small is the size up to which pieces of an answer are put together.
	small = 4 << 10
)

// answer is the http.ResponseWriter of a stream. What its handler writes is gathered until
// it is of some size, or all that was announced, or until Flush. Its end is said when the
// handler has ended: a client that has the whole answer finds free what the request held.
type answer struct {
	stream *stream
	header http.Header
	fields []field // of the header, as it is sent

	headOnly bool // the request is HEAD
	closes   bool // the client is to go away
	status   int  // 0 until the head is written
	noBody   bool
	length   int64 // that the header says; -1 where it says nothing
	written  int64
	out      *[]byte // of smalls; nil while there is nothing
	headed   bool    // the header is gathered; guarded by the connection's mu
	deadline time.Time
}

// smalls are buffers for small pieces.
var smalls = sync.Pool{New: func() any { b := make([]byte, 0, small); return &b }}

func (w *answer) begin(st *stream, headOnly bool) {
	*w = answer{stream: st, headOnly: headOnly, length: -1}
}

func (w *answer) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. It sends no informational answers.
func (w *answer) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	if said := w.header["Content-Length"]; len(said) > 0 {
		if n, err := strconv.ParseUint(said[0], 10, 63); err == nil {
			w.length = int64(n)
		}
	}
	without := status == http.StatusNoContent || status == http.StatusNotModified
	w.noBody = w.headOnly || without
	w.prepare()
}

// Write implements http.ResponseWriter.
func (w *answer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.noBody && w.headOnly:
		return len(p), nil
	case w.noBody:
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	if len(p) == 0 {
		return 0, w.stream.failure()
	}
	w.written += int64(len(p))
	all := w.written == w.length
	gathered := 0
	if w.out != nil {
		gathered = len(*w.out)
	}
	if !all && gathered+len(p) <= small {
		if w.out == nil {
			w.out = smalls.Get().(*[]byte)
		}
		*w.out = append(*w.out, p...)
		return len(p), nil
	}
	st := w.stream
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	if gathered > 0 {
		if err := w.sendGathered(false); err != nil {
			return 0, err
		}
	}
	if err := st.send(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush implements http.Flusher.
func (w *answer) Flush() { _ = w.FlushError() }

// FlushError writes out what was gathered, and waits until it is.
func (w *answer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	st := w.stream
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := w.sendGathered(false); err != nil {
		return err
	}
	return st.flush()
}

// SetReadDeadline and SetWriteDeadline are for http.ResponseController.
func (w *answer) SetReadDeadline(t time.Time) error {
	c := w.stream.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	w.stream.body.deadline = t
	signal(w.stream.body.readable)
	return nil
}

func (w *answer) SetWriteDeadline(t time.Time) error {
	c := w.stream.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	w.deadline = t
	signal(w.stream.writable)
	return nil
}

// EnableFullDuplex is for http.ResponseController: answers and bodies are apart.
func (w *answer) EnableFullDuplex() error { return nil }

// until is when the client has taken too long for a piece.
func (w *answer) until() time.Time {
	if w.deadline.IsZero() {
		return time.Now().Add(w.stream.conn.server.config.WriteTimeout)
	}
	return w.deadline
}

// sendGathered sends the small pieces, with the connection's mu held.
func (w *answer) sendGathered(end bool) error {
	var p []byte
	if w.out != nil {
		p = *w.out
	}
	err := w.stream.send(p, end)
	w.release()
	return err
}

func (w *answer) release() {
	if w.out != nil {
		*w.out = (*w.out)[:0]
		smalls.Put(w.out)
		w.out = nil
	}
}

// send adds a piece of the answer to batches, in frames as the client has room for; the
// header first. Where it is the last, end is true. The connection's mu is held, and given
// up while it waits.
func (st *stream) send(p []byte, end bool) error {
	c, w := st.conn, &st.answer
	for {
		if st.err != nil {
			return st.err
		}
		if !w.headed {
			if err := st.room(); err != nil {
				return st.late(err)
			}
			if st.err != nil || w.headed {
				continue
			}
			w.headed = true
			st.said = end && len(p) == 0
			st.appendHeader(st.said)
			continue
		}
		if st.said || len(p) == 0 && !end {
			return nil
		}
		n := min(len(p), c.maxFrame, int(max(0, min(st.window, c.window))))
		if n == 0 && len(p) > 0 {
			if err := st.open(); err != nil {
				return st.late(err)
			}
			continue
		}
		if c.next != nil && len(c.next.b)+frameHead+n > maxGathered {
			if err := st.room(); err != nil {
				return st.late(err)
			}
			continue // the windows may be others now
		}
		st.said = end && n == len(p)
		var flags http2.Flags
		if st.said {
			flags = http2.FlagDataEndStream
		}
		b := c.batch()
		st.tail = len(b.b)
		b.b = append(appendHead(b.b, n, http2.FrameData, flags, st.id), p[:n]...)
		st.last = b
		st.window -= int64(n)
		c.window -= int64(n)
		p = p[n:]
		if st.said && st.asked {
			c.close(st)
		}
	}
}

// room waits until the batch has room.
func (st *stream) room() error {
	c := st.conn
	for c.next != nil && len(c.next.b)+frameHead+maxFrame > maxGathered {
		b := c.next
		c.push()
		if err := st.written(b); err != nil {
			return err
		}
	}
	return nil
}

// open waits for a window to open. What was gathered has to be written before.
func (st *stream) open() error {
	c := st.conn
	c.push()
	if st.err != nil || st.window > 0 && c.window > 0 {
		return st.err
	}
	if c.waiting == nil {
		c.waiting = make(map[*stream]struct{})
	}
	c.waiting[st] = struct{}{}
	err := st.wait(&st.writable, st.answer.until())
	delete(c.waiting, st)
	c.share()
	return err
}

// flush writes what there is of the stream in a batch, and waits until it is written.
func (st *stream) flush() error {
	if st.last == nil {
		return st.err
	}
	st.conn.push()
	err := st.written(st.last)
	if err == nil {
		st.last = nil
	}
	return st.late(err)
}

// written waits until a batch was written. How long that may take for the whole
// connection bounds it, unless the handler has less patience.
func (st *stream) written(b *batch) error {
	c := st.conn
	const moment = 2 * time.Second
	if b.over {
		return b.err
	}
	if d := st.answer.deadline; !d.IsZero() {
		if left := time.Until(d); left < c.server.config.WriteTimeout-moment {
			timer := time.NewTimer(left)
			defer timer.Stop()
			return c.written(b, timer.C)
		}
	}
	return c.written(b, nil)
}

// late ends a stream whose client has taken too long.
func (st *stream) late(err error) error {
	if errors.Is(err, errLate) && st.err == nil {
		st.conn.reset(st.id, http2.ErrCodeInternal)
		st.err = errLate
		st.conn.push()
	}
	return err
}

// endLast says the end of the answer with the last piece of it, if that is not on its way.
func (st *stream) endLast() bool {
	c := st.conn
	if st.answer.out != nil || st.last == nil || st.last != c.next || st.tail == 0 {
		return false
	}
	st.last.b[st.tail+flagsAt] |= byte(http2.FlagDataEndStream)
	st.said = true
	if st.asked {
		c.close(st)
	}
	return true
}

// finish ends the stream when its handler has ended: the answer is whole, unless the
// handler has panicked or the answer is shorter than its header says.
func (st *stream) finish(whole bool) {
	c, w := st.conn, &st.answer
	if whole && st.err == nil && !st.said {
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		if !w.headed && w.length < 0 && !w.noBody {
			w.fields = append(w.fields, field{"content-length", strconv.FormatInt(w.written, 10)})
		}
		whole = w.noBody || w.length < 0 || w.written == w.length
		if whole && !st.endLast() {
			_ = w.sendGathered(true)
		}
	}
	w.release()
	switch {
	case st.err != nil, st.closed:
	case !whole:
		c.reset(st.id, http2.ErrCodeInternal)
	case !st.asked:
		// The client need not go on sending (RFC 9113 section 8.1).
		c.reset(st.id, http2.ErrCodeNo)
	}
	c.giveBack(st.body.drop())
	c.close(st)
	c.forget(st)
	c.push()
}
