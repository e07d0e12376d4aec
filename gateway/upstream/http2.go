package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync/atomic"
	"time"
)

// errNoStream tells that no socket has a stream for a call, of which nothing was sent.
var errNoStream = errors.New("all streams to the server are taken")

// errShare tells that net/http doesn't take a socket.
var errShare = errors.New("HTTP/2 can't be begun with the server")

// newStreams makes the client for HTTP/2. It opens no socket, but is given them by
// share.
func (p *pool) newStreams() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	o := p.options
	t := &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, errNoStream },
		Protocols:      protocols,
		HTTP2: &http.HTTP2Config{SendPingTimeout: o.PingAfter, PingTimeout: o.PingTimeout,
			WriteByteTimeout: o.PingAfter + o.PingTimeout},
		DisableCompression:     true,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		IdleConnTimeout:        o.IdleTimeout,
		MaxResponseHeaderBytes: o.MaxHeadBytes,
	}
	t.CloseIdleConnections() // has it set TLSNextProto
	return t
}

// share gives a socket that speaks HTTP/2 to net/http, where all calls find it.
func (p *pool) share(c *conn, streams *tls.Conn) error {
	take := p.streams().TLSNextProto["h2"]
	if take == nil {
		c.drop()
		return errShare
	}
	p.count(c)
	taken := take(p.authority, streams)
	if failed, ok := taken.(interface{ RoundTripErr() error }); ok {
		return failed.RoundTripErr()
	}
	return nil
}

// count takes a socket to be one of HTTP/2.
func (p *pool) count(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speaks, c.socket.http2 = http2, true
	p.streamed++
}

// roundTripHTTP2 makes a call by one of the streams. Net/http doesn't wait for one: it finds
// it at once, or errNoStream.
func (p *pool) roundTripHTTP2(ctx context.Context, req *http.Request, got func(net.Conn)) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { got(bare(info.Conn)) }}
	var sending *upload
	if req.Body != nil {
		sending = newUpload(req.Body, p.options.HeaderTimeout, cancel)
		trace.WroteRequest = func(httptrace.WroteRequestInfo) { sending.timer.Stop() }
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, trace))
	if sending != nil {
		req.Body = sending
	}
	response, err := p.streams().RoundTrip(req)
	if sending.stop() {
		err = fmt.Errorf("call the server over HTTP/2: it takes nothing of the request: %w", os.ErrDeadlineExceeded)
		if response != nil {
			response.Body.Close()
		}
	}
	if err != nil {
		cancel()
		p.streamFree()
		return nil, err // as it is: what it says tells of what it is
	}
	response.Body = &stream{ReadCloser: response.Body, pool: p, cancel: cancel}
	return response, nil
}

// upload is the body of a request over HTTP/2. Net/http bounds the wait for the answer once
// all of it was sent; until then, what is taken of it in time is the server's to say.
type upload struct {
	io.Reader
	patience time.Duration // with the server, for a piece
	timer    *time.Timer
	state    atomic.Int32 // begins as 0
}

// What ends an upload.
const (
	answered = iota + 1
	stalled
)

func newUpload(body io.Reader, patience time.Duration, cancel func()) *upload {
	u := &upload{Reader: body, patience: patience}
	u.timer = time.AfterFunc(patience, func() {
		if u.state.CompareAndSwap(0, stalled) {
			cancel()
		}
	})
	return u
}

// Read implements [io.Reader]. It is asked for the next piece when one was taken.
func (u *upload) Read(p []byte) (int, error) {
	u.timer.Reset(u.patience)
	return u.Reader.Read(p)
}

// Close implements [io.Closer]. The body may be read by another way yet.
func (u *upload) Close() error { return nil }

// stop is said when there is an answer, or will be none. It reports whether the server has
// taken nothing for too long. A nil upload is of no body.
func (u *upload) stop() (late bool) {
	if u == nil {
		return false
	}
	u.timer.Stop()
	return !u.state.CompareAndSwap(0, answered)
}

// stream is the body of an answer over HTTP/2.
type stream struct {
	io.ReadCloser
	pool     *pool
	cancel   func()
	deadline time.Time
	timer    *time.Timer
	stop     func() bool // of EndWith
	aborted  atomic.Bool
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	if !s.deadline.IsZero() {
		wait := time.Until(s.deadline)
		if s.timer == nil {
			s.timer = time.AfterFunc(wait, s.abort)
		} else {
			s.timer.Reset(wait)
		}
		defer s.timer.Stop()
	}
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF && s.aborted.Load() {
		err = context.Canceled
	}
	return n, err
}

// abort ends what waits for the server, now or later. Net/http doesn't hear that a context
// is cancelled while it waits for the server to take more of the request.
func (s *stream) abort() {
	s.aborted.Store(true)
	s.cancel()
	_ = s.ReadCloser.Close()
}

// SetReadDeadline implements [Body].
func (s *stream) SetReadDeadline(t time.Time) { s.deadline = t }

// EndWith implements [Body].
func (s *stream) EndWith(ctx context.Context) { s.stop = context.AfterFunc(ctx, s.abort) }

// Close implements [io.Closer].
func (s *stream) Close() error {
	s.cancel()
	if s.stop != nil {
		s.stop()
	}
	err := s.ReadCloser.Close()
	s.pool.streamFree()
	return err
}
