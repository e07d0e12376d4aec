package downstream

import (
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Config is what a server's connections have in common. All of it must be set, but for
// the functions.
type Config struct {
	// MaxStreams bounds the requests of a connection that are open at a time, and apart
	// from that those whose handlers run: one that its client has given up counts until
	// its handler has noticed.
	MaxStreams int
	// MaxFrame bounds a frame from the client, in bytes; at least 16 KiB.
	MaxFrame int
	// MaxHeader bounds a request's header. Beyond it is answered by 431, and far beyond
	// the connection ends.
	MaxHeader int
	// ReceiveBuffer bounds what is taken of the bodies of a connection's requests before
	// handlers read it; at least 64 KiB.
	ReceiveBuffer int

	// GreetTimeout is how long a client may take for the preface and its settings.
	GreetTimeout time.Duration
	// FrameTimeout is how long a frame may take from its first byte to its last, that of
	// a header to the last of those that continue it.
	FrameTimeout time.Duration
	// IdleTimeout is how long a connection may have no stream; then it is told to go
	// away. A client that is silent for as long while it has some is asked whether it is
	// there, which it has PingTimeout to answer.
	IdleTimeout time.Duration
	PingTimeout time.Duration
	// WriteTimeout is how long the client may take for what is written at a time, 64 KiB
	// at most; and for letting anything be written, where a handler has set no deadline.
	WriteTimeout time.Duration
	// SleepAfter is how long a connection waits for a frame until it sleeps, or half of
	// that. It must be long enough that a client that keeps calling pays nothing.
	SleepAfter time.Duration

	// Log is told why connections end; its lines quote addresses of clients. May be nil.
	Log *log.Logger
	// Panicked is told what a handler has panicked with, where its stack is still there.
	// May be nil.
	Panicked func(any)
}

// Server serves connections that speak HTTP/2.
type Server struct {
	config Config
	clock  clock

	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

// New makes a server. Its Close is to be called when it gets no more connections.
func New(c Config) *Server {
	return &Server{config: c, open: make(map[*conn]struct{})}
}

// ErrClosed is of a server that takes no connections any more.
var ErrClosed = errors.New("serve HTTP/2: the server takes no more connections")

// Serve serves a connection in the background until its end, and closes it: its TLS
// handshake is over, and it has agreed on HTTP/2. By socket, what its TLS is on,
// it sleeps; nil is for one that can't. There, reading nothing must wait until there is
// something to be read. At the end gone is called; handlers may still be running. After
// an error the connection is the caller's.
func (s *Server) Serve(c, socket net.Conn, handle http.HandlerFunc, gone func()) error {
	x := newConn(s, c, socket, handle, gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.open[x] = struct{}{}
	go x.begin()
	return nil
}

// GoAway tells all clients to open no more streams, and has connections end when they
// have none. Those that come later, or are about to greet, are not told.
func (s *Server) GoAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.open {
		if !x.told() {
			go x.retire() // one that takes nothing keeps none of the others waiting
		}
	}
}

// Close has the server take no more connections. Those that it has go on.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *Server) remove(x *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
}

func (s *Server) logf(format string, args ...any) {
	if s.config.Log != nil {
		s.config.Log.Printf(format, args...)
	}
}
