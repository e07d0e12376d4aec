package upstream

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"time"
)

// protocol is what a server speaks, as far as is known.
type protocol int

const (
	unknown protocol = iota
	http1
	http2
)

// pool are the connections to one server.
type pool struct {
	options   *Options
	authority string // as requests name it
	address   string // that is dialled
	tls       *tls.Config
	streams   func() *http.Transport // HTTP/2, made when it is needed

	mu       sync.Mutex
	speaks   protocol // by the latest handshake
	idle     []*conn  // since the longest first
	open     int      // sockets, and dials under way
	streamed int      // of the sockets, those of HTTP/2
	waiters  list.List
	dials    map[*dial]struct{}
	doubtful bool // a dial has failed: those who wait for its outcome dial themselves
	closing  bool // nothing is kept
	expiry   *time.Timer
	expires  bool // the timer runs
}

// place is what a call that has waited gets: one of the three.
type place struct {
	conn  *conn
	http2 bool
	err   error
}

// waiter waits for a place, in the order of arrival.
type waiter struct {
	ctx   context.Context
	place chan place // has room
	dial  *dial      // for it; nil for none yet
}

// acquire returns a connection, or that calls go by HTTP/2. Full says that a call has
// found no stream there; more are got by another socket, or when a call ends. Until is
// when the wait ends.
func (p *pool) acquire(ctx context.Context, full bool, until *time.Time) (place, error) {
	if err := context.Cause(ctx); err != nil {
		return place{}, err
	}
	p.mu.Lock()
	p.closing = false
	if !full && p.speaks == http2 && p.streamed > 0 {
		p.mu.Unlock()
		return place{http2: true}, nil
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return place{conn: c}, nil
	}
	w := &waiter{ctx: ctx, place: make(chan place, 1)}
	at := p.waiters.PushBack(w)
	p.pump()
	p.mu.Unlock()
	if until.IsZero() {
		*until = time.Now().Add(p.options.ConnTimeout)
	}
	return p.wait(ctx, w, at, time.Until(*until))
}

// wait waits until w has its place.
func (p *pool) wait(ctx context.Context, w *waiter, at *list.Element, left time.Duration) (place, error) {
	patience := time.NewTimer(left)
	defer patience.Stop()
	var err error
	select {
	case got := <-w.place:
		return got, got.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-patience.C:
		err = ErrBusy
	}
	p.mu.Lock()
	select {
	case got := <-w.place: // in the last moment
		p.mu.Unlock()
		if errors.Is(err, ErrBusy) {
			return got, got.err
		}
		if got.conn != nil {
			p.giveBack(got.conn)
		}
	default:
		p.waiters.Remove(at)
		p.pump()
		p.mu.Unlock()
	}
	return place{}, err
}

// pump starts the dials that are needed, while the pool is locked: one for each who
// waits, or one for all while it may turn out that all can share its socket.
func (p *pool) pump() {
	if p.waiters.Len() == 0 {
		p.doubtful = false
	}
	for at := p.waiters.Front(); at != nil && p.open < p.options.MaxConns; at = at.Next() {
		if p.speaks != http1 && !p.doubtful && len(p.dials) > 0 {
			return
		}
		if w := at.Value.(*waiter); w.dial == nil {
			p.start(w)
		}
	}
}

// hand gives a place to the one who has waited longest, while the pool is locked. It
// reports whether there was one.
func (p *pool) hand(got place) bool {
	at := p.waiters.Front()
	if at == nil {
		return false
	}
	p.waiters.Remove(at)
	at.Value.(*waiter).place <- got
	return true
}

// streamFree is told that a call over HTTP/2 is over: who waits may have its stream.
func (p *pool) streamFree() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.speaks == http2 {
		p.hand(place{http2: true})
		p.pump()
	}
}

// release takes a connection whose call is over.
func (p *pool) release(c *conn) {
	c.used = true
	p.giveBack(c)
}

// giveBack takes a connection that nobody uses.
func (p *pool) giveBack(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	surplus := p.put(c)
	p.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
}

// put hands a connection on or keeps it, while the pool is locked. It returns one
// that is to be closed, or nil.
func (p *pool) put(c *conn) (surplus *conn) {
	if p.hand(place{conn: c}) {
		return nil
	}
	if p.closing || p.options.MaxIdle <= 0 {
		return c
	}
	if len(p.idle) >= p.options.MaxIdle {
		surplus = p.idle[0]
		copy(p.idle, p.idle[1:])
		p.idle = p.idle[:len(p.idle)-1]
	}
	p.idle = append(p.idle, c)
	if !p.expires {
		p.expireIn(p.options.IdleTimeout)
	}
	return surplus
}

func (p *pool) expireIn(d time.Duration) {
	p.expires = true
	if p.expiry == nil {
		p.expiry = time.AfterFunc(d, p.expire)
		return
	}
	p.expiry.Reset(d)
}

// expire closes what has been idle for too long.
func (p *pool) expire() {
	p.mu.Lock()
	p.expires = false
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.options.IdleTimeout {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	if len(p.idle) > 0 {
		p.expireIn(p.options.IdleTimeout - now.Sub(p.idle[0].since))
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// closeIdle closes what is idle, and what becomes idle until there is a call.
func (p *pool) closeIdle() {
	p.mu.Lock()
	p.closing = true
	old := p.idle
	p.idle = nil
	if p.expires && p.expiry.Stop() {
		p.expires = false
	}
	if p.waiters.Len() == 0 {
		for d := range p.dials {
			d.cancel()
		}
	}
	streamed := p.streamed
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
	if streamed > 0 {
		p.streams().CloseIdleConnections()
	}
}

// closed is told of each socket that is no more; nil is one that could not be opened.
func (p *pool) closed(s *socket) {
	p.mu.Lock()
	p.open--
	if s != nil && s.http2 {
		p.streamed--
	}
	p.pump()
	p.mu.Unlock()
}
