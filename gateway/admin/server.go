package admin

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of an admin listener. Requests are small and callers few.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 32 << 10

	// MaxConnections is for the listener: enough for a console, a scraper and
	// some commands at once.
	MaxConnections = 128

	// probeTimeout lets a probe wait as long as a real call may.
	probeTimeout = 3 * time.Minute
	// backupTimeout bounds the read transaction that a slow reader of a backup
	// holds open, which keeps the store from reusing pages.
	backupTimeout = 15 * time.Minute
)

// NewServer is an http.Server for h with every limit set.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// allow gives one answer longer than writeTimeout. In process there is no
// connection and so no deadline to move.
func (a *API) allow(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(a.o.Now().Add(d))
}
