package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	role := flag.String("role", "", "for the processes that this program starts")
	dir := flag.String("dir", "", "for the processes that this program starts")
	d := flag.Duration("for", 5*time.Second, "how long each measurement takes")
	program := flag.String("gateway", "", "the program to measure (default: built from this tree)")
	only := flag.String("only", "", "ways")
	flag.Parse()
	switch *role {
	case "upstream":
		cert, err := tls.LoadX509KeyPair(filepath.Join(*dir, "cert.pem"), filepath.Join(*dir, "key.pem"))
		if err != nil {
			log.Fatal(err)
		}
		log.Fatal(serveUpstream(cert))
	case "goproxy":
		log.Fatal(serveGoproxy(*dir))
	}
	if err := quick(*d, *program, *only); err != nil {
		log.Fatal(err)
	}
}

func quick(d time.Duration, program, only string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newStage(dir, program)
	if err != nil {
		return err
	}
	defer s.close()
	ways := []*way{}
	for _, make := range []struct {
		name string
		f    func() (*way, error)
	}{{"direct", func() (*way, error) { return s.direct(), nil }}, {"nginx", s.nginx}, {"goproxy", s.goproxy}, {"jiragate", func() (*way, error) { return s.jiragate("jiragate", s.upstream) }}} {
		if only != "" && !strings.Contains(only, make.name) {
			continue
		}
		w, err := make.f()
		if err != nil {
			return fmt.Errorf("%s: %w", make.name, err)
		}
		ways = append(ways, w)
	}
	for _, w := range ways {
		for _, n := range []int{16, 64} {
			r, err := closed(w, n, d, w.get(pathSmall))
			fmt.Printf("%-14s %d conns: %8.0f calls/s %8.1f µs/call %5d MiB %v\n", w.name, n, r.perSecond, float64(r.processor.Microseconds())/1000, r.memory>>20, err)
		}
		r, err := opened(w, 16, d, w.get(pathSmall))
		fmt.Printf("%-14s new: %8.0f conns/s %8.1f µs each %5d MiB %v\n", w.name, r.perSecond, float64(r.processor.Microseconds())/1000, r.memory>>20, err)
	}
	return nil
}
