package privacy

import (
	"log"
	"log/slog"
)

// ErrorLog is what an HTTP server may log errors of connections to. Its lines quote
// addresses of clients, which are masked, and anybody who reaches a listener can cause
// as many as they like, so they are for debugging.
func (m *Masker) ErrorLog(to *slog.Logger) *log.Logger {
	return log.New(errorLog{m, to}, "", 0)
}

type errorLog struct {
	masker *Masker
	to     *slog.Logger
}

func (w errorLog) Write(line []byte) (int, error) {
	w.to.Debug("connection", "error", w.masker.Text(string(line)))
	return len(line), nil
}
