package downstream

import "net/http"

// start has a stream's handler run, at once or when there is room for one.
func (c *conn) start(st *stream) {
	if c.running >= c.server.config.MaxStreams {
		// No more wait than may be open, since those that are reset leave.
		c.queue = append(c.queue, st)
		return
	}
	c.running++
	st.ready = true
	go c.run(st)
}

// run runs handlers, of a stream and of those that waited for it.
func (c *conn) run(st *stream) {
	for st != nil {
		st.serve()
		c.mu.Lock()
		st = c.following()
		c.mu.Unlock()
	}
}

// following is the next stream whose handler is to run; or one runs less.
func (c *conn) following() *stream {
	c.vain = 0
	if len(c.queue) == 0 {
		c.queue = nil
		c.running--
		return nil
	}
	st := c.queue[0]
	c.queue[0] = nil
	c.queue = c.queue[1:]
	st.ready = true
	return st
}

// serve runs the stream's handler, and finishes its answer.
func (st *stream) serve() {
	c, whole := st.conn, false
	defer func() {
		if !whole {
			if p := recover(); p != nil && p != http.ErrAbortHandler && c.server.config.Panicked != nil {
				c.server.config.Panicked(p)
			}
		}
		c.mu.Lock()
		st.finish(whole)
		c.mu.Unlock()
		st.cancel()
	}()
	st.handle(&st.answer, st.request)
	whole = true
}
