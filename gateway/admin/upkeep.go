package admin

import (
	"io"
	"net/http"
)

// backup streams a consistent copy of the store. Credentials are sealed in it
// as they are in the store. The status is out before the end is known, so a
// failure cuts the answer short instead of completing it: a reader that gets
// to the end of the body has the whole copy.
func (a *API) backup(w http.ResponseWriter, r *http.Request, t *task) (answer, error) {
	if _, err := t.begin(); err != nil {
		return answer{}, err
	}
	a.allow(w, backupTimeout)
	out := &started{w: w}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	n, err := a.o.Store.Backup(r.Context(), out)
	if err != nil {
		a.o.Logger.ErrorContext(r.Context(), "backup failed", "bytes", n, "error", err,
			"hint", "throw away what was written, and run jiragate store backup again; if the store is at fault, jiragate store check")
		if out.yes {
			panic(http.ErrAbortHandler)
		}
		return answer{}, err
	}
	a.o.Logger.InfoContext(r.Context(), "backup written", "bytes", n)
	return answer{status: http.StatusOK, sent: true}, nil
}

// started notes whether anything was written.
type started struct {
	w   io.Writer
	yes bool
}

func (s *started) Write(p []byte) (int, error) {
	s.yes = true
	return s.w.Write(p)
}

// StoreCheck is the answer of a check that found nothing wrong.
type StoreCheck struct {
	Status      string `json:"status"` // "ok"
	Connections int    `json:"connections"`
	Clients     int    `json:"clients"`
}

func (a *API) checkStore(w http.ResponseWriter, r *http.Request) error {
	a.allow(w, backupTimeout)
	if err := a.o.Store.Check(r.Context()); err != nil {
		return err
	}
	d := a.o.Store.Directory()
	return writeJSON(w, http.StatusOK, StoreCheck{Status: "ok", Connections: len(d.Connections()), Clients: len(d.Clients())})
}
