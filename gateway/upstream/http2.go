package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
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
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { got(bare(info.Conn)) },
	}))
	if req.Body != nil {
		req.Body = io.NopCloser(req.Body) // it may be read by another way yet
	}
	response, err := p.streams().RoundTrip(req)
	if err != nil {
		cancel()
		p.streamFree()
		return nil, err // as it is: what it says tells of what it is
	}
	response.Body = &stream{ReadCloser: response.Body, pool: p, cancel: cancel}
	return response, nil
}

// stream is the body of an answer over HTTP/2.
type stream struct {
	io.ReadCloser
	pool     *pool
	cancel   func()
	deadline time.Time
	timer    *time.Timer
	stop     func() bool // of EndWith
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	if !s.deadline.IsZero() {
		wait := time.Until(s.deadline)
		if s.timer == nil {
			s.timer = time.AfterFunc(wait, s.cancel)
		} else {
			s.timer.Reset(wait)
		}
		defer s.timer.Stop()
	}
	return s.ReadCloser.Read(p)
}

// SetReadDeadline implements [Body].
func (s *stream) SetReadDeadline(t time.Time) { s.deadline = t }

// EndWith implements [Body].
func (s *stream) EndWith(ctx context.Context) { s.stop = context.AfterFunc(ctx, s.cancel) }

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
