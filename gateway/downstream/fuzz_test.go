package downstream

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// canned is a client that sends bytes in pieces, and then nothing more or the end. After so
// many bytes it takes nothing.
type canned struct {
	net.Conn
	left   []byte
	piece  int
	ends   bool
	takes  int
	due    time.Time
	look   func()
	closed chan struct{}
}

func (c *canned) Read(p []byte) (int, error) {
	c.look()
	if len(c.left) == 0 && c.ends {
		return 0, io.EOF
	}
	if len(c.left) > 0 {
		time.Sleep(time.Millisecond) // others run until they wait
		n := copy(p[:min(len(p), c.piece)], c.left)
		c.left = c.left[n:]
		return n, nil
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-time.After(time.Until(c.due)):
		return 0, os.ErrDeadlineExceeded
	}
}

func (c *canned) Write(p []byte) (int, error) {
	if c.takes -= len(p); c.takes > 0 {
		return len(p), nil
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-time.After(time.Minute):
		return 0, os.ErrDeadlineExceeded
	}
}

func (c *canned) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c *canned) SetReadDeadline(t time.Time) error { c.due = t; return nil }
func (c *canned) SetWriteDeadline(time.Time) error  { return nil }
func (c *canned) RemoteAddr() net.Addr              { return nil }

// frames are what a client would send, as seeds.
func frames(say func(f *http2.Framer, block func(...string) []byte)) []byte {
	var out, encoded bytes.Buffer
	f := http2.NewFramer(&out, nil)
	f.AllowIllegalWrites = true
	encoder := hpack.NewEncoder(&encoded)
	_ = f.WriteSettings()
	say(f, func(fields ...string) []byte {
		encoded.Reset()
		for i := 0; i < len(fields); i += 2 {
			_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return bytes.Clone(encoded.Bytes())
	})
	return out.Bytes()
}

// Whatever a client sends, the connection ends in time, with all that it has begun, and
// holds no more than its bounds.
func FuzzServer(f *testing.F) {
	request := []string{":method", "POST", ":scheme", "https", ":authority", "x", ":path", "/"}
	for _, seed := range [][]byte{
		nil,
		frames(func(*http2.Framer, func(...string) []byte) {}),
		frames(func(f *http2.Framer, block func(...string) []byte) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(request...), EndHeaders: true})
			f.WriteData(1, false, make([]byte, 100))
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("x", "y"), EndHeaders: true, EndStream: true})
			f.WritePing(false, [8]byte{})
			f.WriteWindowUpdate(0, 100)
		}),
		frames(func(f *http2.Framer, block func(...string) []byte) {
			for i := range uint32(30) {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block(append(request, "expect", "100-continue")...), EndHeaders: true})
				f.WriteDataPadded(2*i+1, i%2 == 0, make([]byte, 1000), make([]byte, 200))
				f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
			f.WriteGoAway(0, http2.ErrCodeNo, nil)
		}),
		frames(func(f *http2.Framer, block func(...string) []byte) {
			b := block(request...)
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:3]})
			f.WriteContinuation(1, true, b[3:])
			f.WritePriority(1, http2.PriorityParam{StreamDep: 1})
			f.WriteWindowUpdate(1, 1<<31-1)
			f.WriteRawFrame(0x77, 0, 0, []byte("x"))
		}),
	} {
		f.Add(seed, uint16(1), true, uint16(60000))
		f.Add(seed, uint16(1000), false, uint16(60000))
		f.Add(seed, uint16(13), false, uint16(300))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint16, ends bool, takes uint16) {
		synctest.Test(t, func(t *testing.T) {
			conf := config()
			client := &canned{left: append([]byte(http2.ClientPreface), b...), piece: int(piece) + 1, ends: ends, takes: int(takes), closed: make(chan struct{})}
			server := New(conf)
			gone := make(chan struct{})
			var x *conn
			client.look = func() {
				server.mu.Lock()
				for x = range server.open {
				}
				server.mu.Unlock()
				x.mu.Lock()
				defer x.mu.Unlock()
				bodies, most := 0, 0
				for _, st := range x.streams {
					bodies += len(st.body.buf) - st.body.at
				}
				if x.next != nil {
					most = len(x.next.b)
				}
				if x.open > conf.MaxStreams || x.running > conf.MaxStreams || len(x.queue) > conf.MaxStreams || bodies > conf.ReceiveBuffer || most > maxGathered+maxControl {
					t.Errorf("%d streams, %d handlers, %d waiting, %d bytes of bodies, %d gathered", x.open, x.running, len(x.queue), bodies, most)
				}
			}
			handle := func(w http.ResponseWriter, r *http.Request) {
				control := http.NewResponseController(w)
				_ = control.SetReadDeadline(time.Now().Add(time.Minute))
				_ = control.SetWriteDeadline(time.Now().Add(2 * time.Minute))
				n, err := io.Copy(io.Discard, r.Body)
				time.Sleep(time.Duration(n) * time.Millisecond)
				if err != nil {
					panic(http.ErrAbortHandler)
				}
				_, _ = w.Write(make([]byte, 10*n))
				_ = control.Flush()
			}
			if err := server.Serve(client, nil, handle, func() { close(gone) }); err != nil {
				t.Fatal(err)
			}
			select {
			case <-gone:
			case <-time.After(time.Hour):
				t.Error("it has not ended in an hour")
				client.Close()
				<-gone
			}
			time.Sleep(10 * time.Minute) // handlers end
		})
	})
}
