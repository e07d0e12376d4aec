package upstream

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// outcome is what a reader makes of an answer.
type outcome struct {
	Status  string
	Code    int
	Proto   string
	Header  http.Header
	Length  int64
	Coding  []string
	Close   bool
	Body    string
	Cut     bool
	Refused bool
	Left    string // what comes after it
}

func outcomeOf(in io.Reader, method string, read func(*bufio.Reader, *http.Request) (*http.Response, error)) (o outcome) {
	r := bufio.NewReaderSize(in, readerSize)
	response, err := read(r, &http.Request{Method: method})
	if err != nil {
		return outcome{Refused: true}
	}
	body, err := io.ReadAll(response.Body)
	if response.StatusCode == http.StatusSwitchingProtocols {
		return outcome{Code: response.StatusCode}
	}
	left, _ := io.ReadAll(r)
	return outcome{response.Status, response.StatusCode, response.Proto, response.Header, response.ContentLength, response.TransferEncoding,
		response.Close, string(body), err != nil, false, string(left)}
}

// FuzzReadResponse holds the reading of answers to net/http's, however their bytes come.
func FuzzReadResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\ncontent-length:2\r\nA: b\r\na: c\r\nConnection: Keep-Alive\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 404 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: +2\r\n\r\n{}",
		"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", readerSize) + "\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nA: b\x00\r\nContent-Length: 2\r\n\r\n{}",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, in string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		want := outcomeOf(strings.NewReader(in), method, http.ReadResponse)
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(in), "by the byte": iotest.OneByteReader(strings.NewReader(in))} {
			if got := outcomeOf(r, method, readResponse); !reflect.DeepEqual(got, want) {
				t.Fatalf("of %q %s\nwe read       %+v\nnet/http reads %+v", in, how, got, want)
			}
		}
	})
}

// BenchmarkReadResponse compares the two for the usual answer.
func BenchmarkReadResponse(b *testing.B) {
	in := "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nX-Arequestid: 1x2x3\r\nCache-Control: no-cache, no-store\r\nContent-Length: 2\r\n\r\n{}"
	req := &http.Request{Method: http.MethodGet}
	for name, read := range map[string]func(*bufio.Reader, *http.Request) (*http.Response, error){"ours": readResponse, "net/http": http.ReadResponse} {
		b.Run(name, func(b *testing.B) {
			source := strings.NewReader(in)
			r := bufio.NewReaderSize(source, readerSize)
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(in)
				r.Reset(source)
				response, err := read(r, req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
			}
		})
	}
}
