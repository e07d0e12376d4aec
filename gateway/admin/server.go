package admin

import (
	"log"
	"net/http"
	"time"
)

// Bounds of an admin listener. Requests are small and callers few; but visitors of a
// consent are anonymous, and anybody who reaches the listener can hold a connection
// to it for as long as this lets them.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 15 * time.Second
	maxHeaderBytes    = 32 << 10

	// MaxConnections is for the listener: many more than a console, a scraper and
	// some commands at once, so that it takes an effort to keep those out. On one
	// listener the anonymous visitors of a consent can have no share of their own:
	// where strangers reach it, a proxy in front that lets only the paths of a
	// consent through, and bounds the connections of an address, keeps the rest for
	// the operators. The socket in the data directory is not affected.
	MaxConnections = 1024

	// probeTimeout lets a probe wait as long as a real call may.
	probeTimeout = 3 * time.Minute
	// upgradeTimeout is for a new program to start and read its settings; it is within
	// writeTimeout.
	upgradeTimeout = 45 * time.Second
	// backupTimeout bounds the read transaction that a slow reader of a backup
	// holds open, which keeps the store from reusing pages.
	backupTimeout = 15 * time.Minute
)

// NewServer is an http.Server for h with every limit set. A connection that sends
// no request is closed after 5 seconds, one that was used after 15 without another.
// Lines of errorLog quote addresses of clients.
func NewServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog,
	}
}

// allow gives one answer longer than writeTimeout. In process there is no
// connection and so no deadline to move.
func (a *API) allow(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(a.o.Now().Add(d))
}
