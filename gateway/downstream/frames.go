package downstream

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/net/http2"
)

// take deals with a frame, with c.mu held. A ConnectionError ends the connection, with that
// code, and so does any other error.
func (c *conn) take(frame http2.Frame) error {
	settings, ok := frame.(*http2.SettingsFrame)
	if !c.greeted {
		if !ok || settings.IsAck() {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.greeted = true
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.PingFrame:
		switch {
		case !f.IsAck():
			c.appendPing(true, f.Data)
		case f.Data == c.times.data:
			c.times.pinged = time.Time{}
		}
	case *http2.RSTStreamFrame:
		if c.idle(f.StreamID) {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		if st := c.stream(f.StreamID); st != nil {
			c.kill(st, errStream)
			return c.calm()
		}
	case *http2.PriorityFrame:
		// It changes nothing: answers take turns.
		if f.StreamDep == f.StreamID {
			c.reset(f.StreamID, http2.ErrCodeProtocol)
			return c.calm()
		}
	case *http2.GoAwayFrame:
		c.leave()
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil
}

// unreadable deals with a frame that the Framer takes for a fault of a stream.
func (c *conn) unreadable(head http2.FrameHeader, fault http2.StreamError) error {
	id := fault.StreamID
	if !c.greeted {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if head.Type == http2.FrameHeaders && c.stream(id) == nil {
		// It would have opened the stream.
		if err := c.opens(id); err != nil || c.lastID != id {
			return err
		}
	} else if c.idle(id) && head.Type != http2.FrameHeaders {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.reset(id, fault.Code)
	return c.calm()
}

// calm ends a connection whose client does nothing but give requests up.
func (c *conn) calm() error {
	if c.vain > 4*c.server.config.MaxStreams {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		if c.unacked--; c.unacked < 0 {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		return nil
	}
	if f.NumSettings() > 100 { // no client has so many
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if err := f.ForeachSetting(c.setting); err != nil {
		return err
	}
	c.control(http2.FrameSettings, http2.FlagSettingsAck, 0)
	return nil
}

func (c *conn) setting(s http2.Setting) error {
	if err := s.Valid(); err != nil {
		return err
	}
	switch s.ID {
	case http2.SettingHeaderTableSize:
		c.encoder.SetMaxDynamicTableSize(s.Val)
	case http2.SettingMaxFrameSize:
		c.maxFrame = min(int(s.Val), maxFrame) // never less
	case http2.SettingNoRFC7540Priorities:
		if s.Val > 1 {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
	case http2.SettingInitialWindowSize:
		// It changes the windows of streams that are open, too (RFC 9113 section 6.9.2).
		more := int64(s.Val) - c.initial
		c.initial = int64(s.Val)
		for _, st := range c.streams {
			if st.window += more; st.window > maxWindow {
				return http2.ConnectionError(http2.ErrCodeFlowControl)
			}
			c.opened(st)
		}
	}
	return nil
}

func (c *conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > maxWindow {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		c.share()
		return nil
	}
	if c.idle(f.StreamID) {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	st := c.stream(f.StreamID)
	if st == nil {
		return nil // it was on its way when the stream ended
	}
	if st.window += int64(f.Increment); st.window > maxWindow {
		c.reset(st.id, http2.ErrCodeFlowControl)
		return c.calm()
	}
	c.opened(st)
	return nil
}

// opened says that the window of a stream may be open.
func (c *conn) opened(st *stream) {
	if st.window > 0 && c.window > 0 {
		signal(st.writable)
	}
}

// share wakes one stream that waits for the connection's window, which wakes the next one:
// where a client opens it byte by byte, not all of them are to look whether they have it.
func (c *conn) share() {
	if c.window <= 0 {
		return
	}
	for st := range c.waiting {
		if st.window > 0 {
			signal(st.writable)
			return
		}
	}
}

func (c *conn) data(f *http2.DataFrame) error {
	id, length, data := f.StreamID, int(f.Length), f.Data()
	if c.idle(id) {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if !c.received.take(length) { // padding counts
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	st := c.stream(id)
	if st == nil || st.asked || st.body.trailing {
		c.giveBack(length)
		if !c.wasReset(id) && id <= c.lastID {
			c.reset(id, http2.ErrCodeStreamClosed)
		}
		return c.calm()
	}
	b := &st.body
	if !b.received.take(length) {
		c.giveBack(length)
		c.reset(id, http2.ErrCodeFlowControl)
		return c.calm()
	}
	b.come += int64(len(data))
	if b.declared >= 0 && b.come > b.declared {
		c.giveBack(length)
		b.end(fmt.Errorf("%w: more than %d bytes", errLength, b.declared))
		c.reset(id, http2.ErrCodeProtocol)
		return c.calm()
	}
	unread := 0
	if b.err == nil {
		b.add(data)
		unread = len(data)
	}
	c.giveBack(length - unread)
	if f.StreamEnded() {
		c.endRequest(st)
	} else if pad := length - len(data); pad > 0 {
		if pad = b.received.back(pad); pad > 0 {
			c.appendWindowUpdate(id, pad)
		}
	}
	return nil
}

// endRequest says that the client has said all.
func (c *conn) endRequest(st *stream) {
	st.asked = true
	err := io.EOF
	if b := &st.body; b.declared >= 0 && b.come != b.declared {
		err = fmt.Errorf("%w: %d bytes of %d", errLength, b.come, b.declared)
	}
	st.body.end(err)
	if st.said {
		c.close(st)
	}
}
