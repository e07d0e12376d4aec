package gateway

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// Read by way of a buffer, a stream is what it is piece by piece: whole, or stopped
// before the end of a secret has passed, however short the buffer is.
func TestScannerReadsThroughABuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ab]{1,20}c`).Draw(t, "secret")
		text := rapid.StringMatching(`[abcd]{0,60}`).Draw(t, "text")
		buffer := make([]byte, rapid.IntRange(1, 30).Draw(t, "buffer"))
		var r io.Reader = strings.NewReader(text)
		if rapid.Bool().Draw(t, "with its end") {
			r = iotest.DataErrReader(r)
		}
		s := scanner{secrets: exactly(secret)}
		var passed bytes.Buffer
		found := false
		for {
			pass, ok, err := s.read(r, buffer)
			passed.Write(pass)
			if found = !ok; found {
				break
			}
			if err != nil {
				passed.Write(s.rest())
				break
			}
		}
		if found != strings.Contains(text, secret) {
			t.Fatalf("secret %q in %q: found %v", secret, text, found)
		}
		if !found && passed.String() != text {
			t.Fatalf("passed %q of %q", passed.String(), text)
		}
		if strings.Contains(passed.String(), secret) || !strings.HasPrefix(text, passed.String()) {
			t.Fatalf("passed %q of %q, secret %q", passed.String(), text, secret)
		}
	})
}

// writesConn records by how many writes an answer comes.
type writesConn struct {
	recordedConn
	sizes []int
}

func (c *writesConn) Write(p []byte) (int, error) {
	c.sizes = append(c.sizes, len(p))
	return c.recordedConn.Write(p)
}

// answerOf has a request answered by handle.
func answerOf(request string, handle http.HandlerFunc) *writesConn {
	c := &writesConn{recordedConn: recordedConn{in: strings.NewReader(request)}}
	newHTTP1Conn(newFramedConn(c, &origin{tunnel: &tunnel{}}, "marker"), slog.New(slog.DiscardHandler), handle).run(time.Minute)
	return c
}

// An answer is what was written, whatever the pieces and whether its length is known.
func TestLongAnswersArriveWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 100, gathered - 1, gathered, oneRecord - 1, oneRecord, oneRecord + 1, streamBuffer, 5*oneRecord + 1}), 1, 5).Draw(t, "pieces")
		flushed := rapid.Bool().Draw(t, "flushed")
		head := rapid.SampledFrom([]int{1, 2 * oneRecord}).Draw(t, "head")
		var want bytes.Buffer
		for i, n := range sizes {
			want.Write(bytes.Repeat([]byte{byte('a' + i)}, n))
		}
		known := rapid.Bool().Draw(t, "length is known")
		c := answerOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", head))
			if known {
				w.Header().Set("Content-Length", strconv.Itoa(want.Len()))
			}
			rest := want.Bytes()
			for _, n := range sizes {
				if wrote, err := w.Write(rest[:n]); wrote != n || err != nil {
					t.Fatalf("wrote %d of %d: %v", wrote, n, err)
				}
				if rest = rest[n:]; flushed {
					w.(http.Flusher).Flush()
				}
			}
		})
		r, err := http.ReadResponse(bufio.NewReader(&c.out), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%d bytes came of %d: %v", len(got), want.Len(), err)
		}
	})
}

// A piece of a long answer fills records of TLS, and no more is written with it.
func TestPiecesOfLongAnswersFillRecords(t *testing.T) {
	c := answerOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
		flush := w.(http.Flusher).Flush
		flush() // the head
		for range 3 {
			_, _ = w.Write(make([]byte, streamBuffer))
			flush()
		}
	})
	pieces := c.sizes[1 : len(c.sizes)-1] // between head and last chunk
	total := 0
	for _, n := range pieces {
		if n%oneRecord != 0 {
			t.Errorf("pieces were written as %d", pieces)
			break
		}
		total += n
	}
	if total != 3*4*oneRecord {
		t.Errorf("%d bytes in %d", total, pieces)
	}
}

// An answer that streams allocates nothing for its pieces.
func BenchmarkStream(b *testing.B) {
	var s secrets
	s.addSince("correct-horse-battery-staple-0123456789abcdef", 0)
	answerOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(w http.ResponseWriter, r *http.Request) {
		w.(*response).conn.framed.Conn = discardConn{w.(*response).conn.framed.Conn}
		body := &endlessBody{piece: bytes.Repeat([]byte(`{"id":"10000","key":"ACME-1","summary":"A thing to do"}`), 1200)}
		scan := scanner{secrets: s}
		buffer := new([streamBuffer]byte)
		b.SetBytes(streamBuffer)
		b.ReportAllocs()
		for b.Loop() {
			piece, ok, err := scan.read(body, buffer[:])
			if !ok || err != nil {
				b.Fatal("it is cut")
			}
			_, _ = w.Write(piece)
			w.(http.Flusher).Flush()
		}
	})
}

// endlessBody repeats itself.
type endlessBody struct{ piece []byte }

func (e *endlessBody) Read(p []byte) (n int, _ error) {
	for n < len(p) {
		n += copy(p[n:], e.piece)
	}
	return n, nil
}

type discardConn struct{ net.Conn }

func (discardConn) Write(p []byte) (int, error) { return len(p), nil }
