package upstream

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a connection within the process that has buffers as
// sockets have: with those of net.Pipe, both sides of a handshake may wait for each
// other.
func pipe() (net.Conn, net.Conn) {
	to, from := newHalf(), newHalf()
	return &end{in: from, out: to}, &end{in: to, out: from}
}

// pipeBuffer is what an end takes before the other one reads.
const pipeBuffer = 64 << 10

type end struct{ in, out *half }

// half is one direction.
type half struct {
	mu          sync.Mutex
	changed     sync.Cond
	buffer      []byte
	closed      bool // no more is written
	gone        bool // nobody reads
	read, write time.Time
}

func newHalf() *half {
	h := new(half)
	h.changed.L = &h.mu
	return h
}

func (h *half) change(f func()) {
	h.mu.Lock()
	f()
	h.mu.Unlock()
	h.changed.Broadcast()
}

// wait waits until ready, or the deadline, which may be changed meanwhile.
func (h *half) wait(deadline *time.Time, ready func() bool) error {
	for !ready() {
		if !deadline.IsZero() {
			left := time.Until(*deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			timer := time.AfterFunc(left, func() { h.change(func() {}) })
			defer timer.Stop()
		}
		h.changed.Wait()
	}
	return nil
}

func (e *end) Read(p []byte) (n int, err error) {
	h := e.in
	h.change(func() {
		err = h.wait(&h.read, func() bool { return len(h.buffer) > 0 || h.closed || h.gone })
		n = copy(p, h.buffer)
		h.buffer = h.buffer[n:]
		switch {
		case h.gone:
			n, err = 0, net.ErrClosed
		case err == nil && n == 0 && len(p) > 0:
			err = io.EOF
		}
	})
	return n, err
}

func (e *end) Write(p []byte) (n int, err error) {
	h := e.out
	h.change(func() {
		for n < len(p) && err == nil {
			err = h.wait(&h.write, func() bool { return len(h.buffer) < pipeBuffer || h.closed || h.gone })
			switch {
			case h.closed:
				err = net.ErrClosed
			case h.gone:
				err = io.ErrClosedPipe
			case err == nil:
				m := min(len(p)-n, pipeBuffer-len(h.buffer))
				h.buffer = append(h.buffer, p[n:n+m]...)
				n += m
				h.changed.Broadcast()
			}
		}
	})
	return n, err
}

func (e *end) Close() error {
	e.out.change(func() { e.out.closed = true })
	e.in.change(func() { e.in.gone = true })
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.change(func() { e.in.read = t })
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.change(func() { e.out.write = t })
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (e *end) RemoteAddr() net.Addr { return &net.TCPAddr{} }
