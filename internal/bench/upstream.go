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
// them through; which answer comes is told by the path.
const (
	pathSmall  = "/rest/api/2/priority"  // 1 KB of JSON
	pathSlow   = "/rest/api/2/issue/S-1" // the same, after slowAnswer
	pathDrip   = "/rest/api/2/issue/D-1" // in chunks that say when they were sent
	pathLarge  = "/rest/api/2/issue/L-1" // largeAnswer bytes
	pathCreate = "/rest/api/2/issue"     // POST: an issue is created

	slowAnswer  = 200 * time.Millisecond
	largeAnswer = 1 << 30
	drips       = 100
	dripEvery   = 10 * time.Millisecond
)

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
		switch {
		case method == "POST":
			_, err = c.Write(created)
		case path == pathSlow:
			time.Sleep(slowAnswer)
			_, err = c.Write(small)
		case path == pathDrip:
			err = drip(c)
		case path == pathLarge:
			err = large(c)
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
func drip(w io.Writer) error {
	if _, err := io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		return err
	}
	for range drips {
		time.Sleep(dripEvery)
		if _, err := io.WriteString(w, "14\r\n"+stamp()+"\r\n"); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "0\r\n\r\n")
	return err
}

// stamp is the present time in stampBytes digits and a line feed.
func stamp() string { return fmt.Sprintf("%019d\n", time.Now().UnixNano()) }

func large(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", largeAnswer); err != nil {
		return err
	}
	return flood(w)
}

func flood(w io.Writer) error {
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for left := largeAnswer; left > 0; left -= len(piece) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// answerHTTP2 is the same for HTTP/2.
func answerHTTP2(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = []string{"application/json"}
	switch r.URL.Path {
	case pathSlow:
		time.Sleep(slowAnswer)
	case pathDrip:
		for range drips {
			time.Sleep(dripEvery)
			_, _ = io.WriteString(w, stamp())
			_ = http.NewResponseController(w).Flush()
		}
		return
	case pathLarge:
		_ = flood(w)
		return
	}
	_, _ = w.Write(answerBody)
}
