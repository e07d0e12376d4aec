package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// Body is the body of an answer. It belongs to one goroutine; others end it by its
// context.
type Body interface {
	io.ReadCloser
	// SetReadDeadline bounds the reads from here on that have to wait for the server.
	// One that ends so ends the answer.
	SetReadDeadline(t time.Time)
	// EndWith lets ctx end the answer, too. It is called once at most.
	EndWith(ctx context.Context)
}

// exchange is one request and its answer over HTTP/1.1, and the body of the answer.
type exchange struct {
	conn     *conn
	buffers  *buffers
	reader   *bufio.Reader // of wire; nil once the exchange is over
	limit    int64         // of what may be read
	began    bool          // a byte of the answer has come
	filled   bool          // there was more in the last read than it had room for, perhaps
	keep     bool          // the connection may be used again
	answered atomic.Bool
	uploaded chan error // nil: the request was written before the answer was read

	source io.ReadCloser // net/http's body
	left   int64         // of it; negative: not known
	over   error         // what Read returns from here on

	deadline time.Time // of reads, to be set before the next one of the socket
	rearm    bool
	ends     [2]ending
	aborted  atomic.Bool
}

// ending is a context that ends an exchange. It is watched where stop is not nil.
type ending struct {
	ctx  context.Context
	stop func() bool
}

const endless = math.MaxInt64

// longPiece is the size from which what came in one record of TLS is taken for a part of
// something long, the next part of which may be there already. So a slow answer isn't
// looked after in vain.
const longPiece = 8 << 10

// errClosed is what reading a closed body fails with.
var errClosed = errors.New("the body of the answer is closed")

// watch lets the end of a context abort the exchange from now on.
func (e *exchange) watch(end *ending) {
	if end.ctx != nil && end.stop == nil && end.ctx.Done() != nil {
		end.stop = context.AfterFunc(end.ctx, e.abort)
	}
}

// abort ends what waits for the socket, now or later.
func (e *exchange) abort() {
	e.aborted.Store(true)
	_ = e.conn.socket.SetDeadline(time.Unix(1, 0))
}

// unwatch reports whether nothing has aborted the exchange, and nothing will: else
// the deadline may still be set by that.
func (e *exchange) unwatch() bool {
	quiet := true
	for i := range e.ends {
		if stop := e.ends[i].stop; stop != nil && !stop() {
			quiet = false
		}
	}
	return quiet
}

// cause is why the exchange was aborted, or nil.
func (e *exchange) cause() error {
	if !e.aborted.Load() {
		return nil
	}
	for _, end := range e.ends {
		if end.ctx != nil && end.ctx.Err() != nil {
			return context.Cause(end.ctx)
		}
	}
	return context.Canceled
}

// begin sets the first deadline. One that is only a moment earlier stays: to set one each
// time costs more than it is worth.
func (e *exchange) begin(due time.Time) {
	const moment = time.Second
	if early := due.Sub(e.conn.due); early < 0 || early > moment {
		e.conn.due = due
		e.bound(due)
	}
}

// bound sets the deadline of reads and writes, unless the exchange was aborted.
func (e *exchange) bound(t time.Time) {
	_ = e.conn.socket.SetDeadline(t)
	e.stayAborted()
}

// stayAborted sets the deadline of abort again, which one set at the same time may
// have replaced.
func (e *exchange) stayAborted() {
	if e.aborted.Load() {
		_ = e.conn.socket.SetDeadline(time.Unix(1, 0))
	}
}

// wire is the exchange as its buffer reads it.
type wire exchange

// Read implements [io.Reader].
func (w *wire) Read(p []byte) (int, error) {
	e := (*exchange)(w)
	if e.limit <= 0 {
		return 0, errHead
	}
	e.watch(&e.ends[1])
	if e.rearm {
		e.rearm, e.conn.due = false, time.Time{}
		_ = e.conn.socket.SetReadDeadline(e.deadline)
		e.stayAborted()
	}
	n, err := e.conn.secure.Read(p[:min(int64(len(p)), e.limit)])
	if e.limit == endless {
		// What is left of a record is a part of something long, too, however short.
		if err == nil && (n >= longPiece || e.filled) && len(p) >= 2*longPiece {
			n += e.gather(p[n:])
		}
		e.filled = n == len(p)
	} else {
		e.limit -= int64(n)
	}
	e.began = e.began || n > 0
	if err != nil {
		e.keep = false
		if cause := e.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// gather reads into p what has come already, without waiting. An error is left to the next
// read: TLS remembers it.
func (e *exchange) gather(p []byte) (n int) {
	s := e.conn.socket
	if s.raw == nil {
		return 0 // it would wait
	}
	s.probing = true
	defer func() { s.probing = false }()
	for n < len(p) {
		more, err := e.conn.secure.Read(p[n:])
		n += more
		if err != nil {
			e.keep = e.keep && errors.Is(err, nothing{})
			break
		}
	}
	return n
}

// Read implements [io.Reader].
func (e *exchange) Read(p []byte) (int, error) {
	if e.over != nil {
		return 0, e.over
	}
	n, err := e.source.Read(p)
	e.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF):
		e.finish()
	case err != nil:
		e.fail(err)
	}
	return n, err
}

// SetReadDeadline implements [Body]. What is there already is read without it.
func (e *exchange) SetReadDeadline(t time.Time) { e.deadline, e.rearm = t, true }

// EndWith implements [Body]. What is there already is read without it.
func (e *exchange) EndWith(ctx context.Context) { e.ends[1].ctx = ctx }

// Close implements [io.Closer]. Where the rest of the body is there already it is
// dropped, so that the connection can be used again.
func (e *exchange) Close() error {
	if e.over == nil && e.left >= 0 && e.left <= int64(e.reader.Buffered()) {
		_, _ = io.Copy(io.Discard, e)
	}
	if e.over == nil {
		e.fail(errClosed)
	}
	e.over = errClosed
	return nil
}

// finish ends an exchange whose answer was read to its end. Anything beyond that was
// sent unasked.
func (e *exchange) finish() {
	e.over = io.EOF
	keep := e.unwatch() && e.keep && e.reader.Buffered() == 0 && e.uploadedAll()
	e.freeReader()
	if keep {
		e.conn.pool.release(e.conn)
	} else {
		e.conn.close()
	}
}

// uploadedAll reports whether all of the request was sent.
func (e *exchange) uploadedAll() bool {
	if e.uploaded == nil {
		return true
	}
	select {
	case err := <-e.uploaded:
		return err == nil
	default:
		return false
	}
}

// fail ends an exchange in the middle of something.
func (e *exchange) fail(err error) {
	e.over = err
	e.unwatch()
	e.conn.drop()
	e.freeReader()
}

func (e *exchange) freeReader() {
	if e.reader != nil {
		e.reader.Reset(nil)
		e.buffers.readers.Put(e.reader)
		e.reader = nil
	}
}

// open makes the exchange the body of its answer.
func (e *exchange) open(r *http.Response) {
	e.answered.Store(true)
	e.limit = endless
	e.SetReadDeadline(time.Time{})
	// What claims to be another protocol is one answer, and not more.
	e.keep = e.keep && !r.Close && r.StatusCode >= 200 && r.ProtoMajor == 1
	e.source, e.left = r.Body, r.ContentLength
	r.Body = e
	if e.source == http.NoBody {
		e.finish()
	}
}
