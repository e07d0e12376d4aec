package upstream

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"testing"
)

// What has come of a long body is read at once, and none of it is lost, whatever the
// pieces in which it is sent; then the connection is used again.
func TestLongBodiesAreReadInLongPieces(t *testing.T) {
	body := make([]byte, 1<<20)
	for i := range body {
		body[i] = byte(i / 251)
	}
	for _, tcp := range []bool{false, true} {
		for _, piece := range []int{100 << 10, 16 << 10, 5000, len(body)} {
			s := newServer(t, func(_ int, c *said) {
				for {
					if _, _, err := c.request(); err != nil {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
					for rest := body; len(rest) > 0; {
						n, err := c.Write(rest[:min(piece, len(rest))])
						if err != nil {
							return
						}
						rest = rest[n:]
					}
				}
			})
			s.tcp = tcp
			client := s.client()
			for range 3 {
				response, err := client.send(context.Background(), "GET", "")
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				longest := 0
				for buffer := make([]byte, 64<<10); ; {
					n, err := response.Body.Read(buffer)
					got, longest = append(got, buffer[:n]...), max(longest, n)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(got, body) {
					t.Errorf("TCP %v, pieces of %d: %d bytes, not those that were sent", tcp, piece, len(got))
				}
				if tcp && piece == len(body) && longest <= 16<<10 {
					t.Errorf("nothing was gathered: the longest piece has %d bytes", longest)
				}
			}
			if n := s.dials.Load(); n != 1 {
				t.Errorf("TCP %v, pieces of %d: %d connections", tcp, piece, n)
			}
		}
	}
}

// What a read leaves of a record does not come by itself, but with what follows it.
func TestWhatIsLeftOfARecordComesWithWhatFollows(t *testing.T) {
	const record, left = 16 << 10, 8
	written := make(chan struct{}, 1)
	s := newServer(t, func(_ int, c *said) {
		for {
			if _, _, err := c.request(); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(2*record)+"\r\n\r\n")
			_, _ = c.Write(make([]byte, 2*record))
			written <- struct{}{}
		}
	})
	s.tcp, s.config.DynamicRecordSizingDisabled = true, true
	client := s.client()
	second := func() int {
		response, err := client.send(context.Background(), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		<-written
		buffer := make([]byte, 2*record)
		if n, err := response.Body.Read(buffer[:record-left]); n != record-left || err != nil {
			t.Fatalf("the first piece has %d bytes of %d: %v", n, record-left, err)
		}
		n, err := response.Body.Read(buffer)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const tries = 100 // the system may take its time with what was written
	for range tries {
		if second() > left {
			return
		}
	}
	t.Errorf("the %d bytes that were left of a record came by themselves, %d times", left, tries)
}
