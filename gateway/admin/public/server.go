package public

import (
	stdlog "log"
	"net/http"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 15 * time.Second
	maxHeaderBytes    = 16 << 10

	// MaxConnections is for a listener of its own. Answers are at hand and small, so a
	// visitor is soon done; where strangers are to be kept from taking all of them, put
	// a proxy in front that bounds the connections of an address.
	MaxConnections = 1024
)

// NewServer is an http.Server for a listener on which there is nothing but h, with
// every limit set. It takes any Host: all there is is public. Lines of errorLog quote
// addresses of visitors.
func NewServer(h *Handler, errorLog *stdlog.Logger) *http.Server {
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
