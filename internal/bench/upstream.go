package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// The paths of the upstream. All are of documented operations, so that the gateway lets
// them through. The key of a project tells which answer comes: a kind and a number.
const (
	pathSmall  = "/rest/api/2/priority" // 1 KB of JSON
	pathCreate = "/rest/api/2/issue"    // POST: an issue is created

	kindSlow  = "SLOW"  // the same as pathSmall, after so many milliseconds
	kindDrip  = "DRIP"  // so many chunks, dripEvery apart, that say when they were sent
	kindLarge = "LARGE" // so many MiB

	dripEvery = 10 * time.Millisecond
	// mostOfKind bounds the number.
	mostOfKind = 10_000
)

func pathOf(kind string, n int) string {
	return fmt.Sprintf("/rest/api/2/project/%s%d/components", kind, n)
}

// kindOf is what a path asks for; all others are for the small answer.
func kindOf(path string) (kind string, n int) {
	_, rest, _ := strings.Cut(path, "/project/")
	key, ok := strings.CutSuffix(rest, "/components")
	if !ok {
		return "", 0
	}
	kind = strings.TrimRight(key, "0123456789")
	n, err := strconv.Atoi(key[len(kind):])
	if err != nil || n > mostOfKind {
		return "", 0
	}
	return kind, n
}

// answerBody is a kilobyte of JSON.
var answerBody = bytes.Repeat([]byte(`{"id":"1","name":"Highest"},`), 37)[:1024]

// serveUpstream is the role of Jira: HTTP/1.1 by hand on one listener, HTTP/2 by net/http
// on another. It ends with its standard input.
func serveUpstream(cert tls.Certificate) error {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		server := &http.Server{Handler: http.HandlerFunc(answerHTTP2), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}}
		log.Fatal(server.ServeTLS(h2, "", ""))
	}()
	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go answerHTTP1(tls.Server(c, config))
		}
	}()
	fmt.Println(plain.Addr(), h2.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// answerHTTP1 answers requests without looking at more of them than it needs.
func answerHTTP1(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 4<<10)
	small := prepared(200, answerBody)
	created := prepared(201, []byte(`{"id":"10000","key":"BENCH-1","self":"https://127.0.0.1/rest/api/2/issue/10000"}`))
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		method, rest, _ := strings.Cut(string(line), " ")
		path, _, _ := strings.Cut(rest, " ")
		length := 0
		for {
			field, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(field) <= 2 {
				break
			}
			if len(field) > 16 && bytes.EqualFold(field[:15], []byte("content-length:")) {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(field[15:])))
			}
		}
		if length > 0 {
			_, _ = r.Discard(length)
		}
		kind, n := kindOf(path)
		switch {
		case method == "POST":
			_, err = c.Write(created)
		case kind == kindSlow:
			time.Sleep(time.Duration(n) * time.Millisecond)
			_, err = c.Write(small)
		case kind == kindDrip:
			err = drip(c, n)
		case kind == kindLarge:
			err = large(c, n)
		default:
			_, err = c.Write(small)
		}
		if err != nil {
			return
		}
	}
}

func prepared(status int, body []byte) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(body), body)
}

// drip sends chunks that hold the time at which they were sent, in nanoseconds.
func drip(w io.Writer, n int) error {
	if _, err := io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		return err
	}
	for range n {
		time.Sleep(dripEvery)
		if _, err := io.WriteString(w, "14\r\n"+stamp()+"\r\n"); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "0\r\n\r\n")
	return err
}

// stampBytes is the length of a stamp.
const stampBytes = 20

// stamp is the present time in digits, and a line feed.
func stamp() string { return fmt.Sprintf("%019d\n", time.Now().UnixNano()) }

func large(w io.Writer, mib int) error {
	if _, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", mib<<20); err != nil {
		return err
	}
	return flood(w, mib)
}

func flood(w io.Writer, mib int) error {
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for left := mib << 20; left > 0; left -= len(piece) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// answerHTTP2 is the same for HTTP/2, and takes nothing else.
func answerHTTP2(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		http.Error(w, "this is for HTTP/2", http.StatusHTTPVersionNotSupported)
		return
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	switch kind, n := kindOf(r.URL.Path); kind {
	case kindSlow:
		time.Sleep(time.Duration(n) * time.Millisecond)
	case kindDrip:
		for range n {
			time.Sleep(dripEvery)
			_, _ = io.WriteString(w, stamp())
			_ = http.NewResponseController(w).Flush()
		}
		return
	case kindLarge:
		_ = flood(w, n)
		return
	}
	_, _ = w.Write(answerBody)
}
