package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// streams makes calls by one HTTP/2 connection, many at a time, from one goroutine: with
// the header made once, frames written together and windows that are rarely opened.
type streams struct {
	way     *way
	conn    *tls.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	framer  *http2.Framer
	decoder *hpack.Decoder
	block   []byte // the header of every request
	next    uint32 // id of the next stream
	open    int
	unread  int // bytes that the window has not been opened by again
	leaving bool
	status  string // of the header that was read last
}

// window is what may come unasked, of a stream and of all.
const window = 1 << 28

// streams opens an HTTP/2 connection for calls of a path, all over within most.
func (w *way) streams(path string, most time.Duration) (*streams, error) {
	c, err := w.dial("h2")
	if err != nil {
		return nil, err
	}
	s := &streams{way: w, conn: c, in: bufio.NewReaderSize(c, 64<<10), out: bufio.NewWriterSize(c, 16<<10), block: headerOf(w, path), next: 1}
	if err := s.greet(most); err != nil {
		c.Close()
		return nil, w.failed("beginning HTTP/2", err)
	}
	return s, nil
}

func (s *streams) greet(most time.Duration) error {
	if p := s.conn.ConnectionState().NegotiatedProtocol; p != "h2" {
		return fmt.Errorf("the protocol is %q", p)
	}
	if err := s.conn.SetDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	s.framer = http2.NewFramer(s.out, s.in)
	s.framer.SetReuseFrames()
	s.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			s.status = f.Value
		}
	})
	_, err := s.out.WriteString(http2.ClientPreface)
	return errors.Join(err,
		s.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
		s.framer.WriteWindowUpdate(0, window))
}

// headerOf is the header block of a GET, of fields of the static table and such as are
// never indexed, so that it is the same for each request.
func headerOf(w *way, path string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: w.host, Sensitive: true}, {Name: ":path", Value: w.base + path, Sensitive: true},
		{Name: "accept", Value: "application/json", Sensitive: true}, {Name: "user-agent", Value: "bench", Sensitive: true},
	} {
		_ = e.WriteField(f) // a buffer takes anything
	}
	return b.Bytes()
}

// begin sends a request, with the next flush.
func (s *streams) begin() error {
	err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.next, BlockFragment: s.block, EndHeaders: true, EndStream: true})
	s.next += 2
	s.open++
	return err
}

// once makes one call.
func (s *streams) once() error {
	if err := s.begin(); err != nil {
		return s.way.failed("calling", err)
	}
	for s.open > 0 {
		if _, err := s.step(); err != nil {
			return s.way.failed("calling", err)
		}
	}
	return nil
}

// run makes calls, n at a time, until it is stopped or the other side wants to end the
// connection.
func (s *streams) run(n int, t *tally) error {
	for going := true; going || s.open > 0; going = !t.stopped.Load() && !s.leaving {
		for going && s.open < n {
			if err := s.begin(); err != nil {
				return s.way.failed("calling", err)
			}
		}
		done, err := s.step()
		if err != nil {
			return s.way.failed("calling", err)
		}
		if done {
			t.done.Add(1)
		}
	}
	return nil
}

// step reads a frame, and tells whether it was the last of an answer. What is to be
// written is flushed before it would wait.
func (s *streams) step() (done bool, err error) {
	if s.in.Buffered() == 0 && s.out.Buffered() > 0 {
		if err := s.out.Flush(); err != nil {
			return false, err
		}
	}
	frame, err := s.framer.ReadFrame()
	if err != nil {
		return false, err
	}
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		if s.status = ""; !f.HeadersEnded() {
			return false, errors.New("answered with a header in several frames")
		}
		if _, err := s.decoder.Write(f.HeaderBlockFragment()); err != nil {
			return false, err
		}
		if s.status != "200" {
			return false, fmt.Errorf("answered with status %s", s.status)
		}
		done = f.StreamEnded()
	case *http2.DataFrame:
		if s.unread += int(f.Length); s.unread > window/2 {
			if err := s.framer.WriteWindowUpdate(0, uint32(s.unread)); err != nil {
				return false, err
			}
			s.unread = 0
		}
		done = f.StreamEnded()
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = s.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = s.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		if s.leaving = true; f.ErrCode != http2.ErrCodeNo {
			err = fmt.Errorf("ended the connection: %s, %q", f.ErrCode, f.DebugData())
		}
	case *http2.RSTStreamFrame:
		err = fmt.Errorf("ended a stream: %s", f.ErrCode)
	}
	if done {
		s.open--
	}
	return done, err
}

// multiplexed has one HTTP/2 connection make calls, n at a time, for d after a fifth of
// it to warm up.
func multiplexed(ctx context.Context, w *way, n int, d time.Duration, path string) (rate, error) {
	return measure(ctx, w.process, 1, d, func(_ int, t *tally) error {
		for !t.stopped.Load() {
			s, err := w.streams(path, 2*d+patience)
			if err != nil {
				return err
			}
			err = s.run(n, t)
			s.conn.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
