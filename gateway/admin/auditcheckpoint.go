package admin

import (
	"errors"
	"net/http"
	"time"

	"jiragate/gateway/audit"
)

// AuditCheckpoint is how far the log is signed.
type AuditCheckpoint struct {
	// Note is the newest checkpoint (C2SP tlog-checkpoint). It is missing where there is
	// none yet, and so are its Size and when it was Made.
	Note    string           `json:"note,omitempty"`
	Size    uint64           `json:"size,omitempty"` // how many records the checkpoint covers
	Made    *time.Time       `json:"made,omitempty"` // when the checkpoint was written
	Records uint64           `json:"records"`        // in the log, from the first on
	Covered uint64           `json:"covered"`        // of the records, by a checkpoint
	Copies  []CheckpointCopy `json:"copies"`         // elsewhere, where no one can rewrite them
}

// CheckpointCopy is how it stands with a place that gets checkpoints.
type CheckpointCopy struct {
	Place string `json:"place"` // shows no secret
	// Size is that of the checkpoint that the gateway delivered last since it started;
	// missing before the first.
	Size      uint64     `json:"size,omitempty"`
	Delivered *time.Time `json:"delivered,omitempty"` // when that was
	// FailingSince is when the first of the failures in a row was; missing while all is
	// well.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Problem      string     `json:"problem,omitempty"` // the last of these failures
}

func (a *API) showCheckpoint(w http.ResponseWriter, _ *http.Request) error {
	c := AuditCheckpoint{Copies: a.copies()}
	newest, err := a.o.Log.Newest()
	switch {
	case err == nil:
		c.Note, c.Size, c.Made = string(newest.Note), newest.Size, when(newest.Made)
	case !errors.Is(err, audit.ErrNoCheckpoint):
		return logProblem(err)
	}
	c.Records, c.Covered = a.o.Log.Length()
	return writeJSON(w, http.StatusOK, c)
}

func (a *API) copies() []CheckpointCopy {
	list := []CheckpointCopy{}
	if a.o.Log.Copies == nil {
		return list
	}
	for _, s := range a.o.Log.Copies() {
		list = append(list, CheckpointCopy{
			Place: s.Place.String(), Size: s.Size, Delivered: when(s.Delivered),
			FailingSince: when(s.FailingSince), Problem: s.Problem,
		})
	}
	return list
}

// when is t in UTC, nil if it is zero.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
