package public

import (
	"fmt"
	"strings"
	"time"

	"jiragate/gateway/audit/checkpoint"
)

// snapshot is the page and all its files, of one moment. It is not changed once it is
// made.
type snapshot struct {
	made      time.Time
	published *published
	files     map[string]*file // by path below the base
}

// log is what is shown of the audit log.
type log struct {
	Verifier string   // of the key that signs
	Earlier  []string // those before it, the newest first
	PEM      string
	NoKey    bool // it could not be read, rather than that there is none

	Note         string // the newest checkpoint; "" where there is none
	Checkpoint   checkpoint.Checkpoint
	Root         string // in base64, as the note has it
	Signed       time.Time
	NoCheckpoint bool // it could not be read, or is not signed by the key
}

// snapshot makes everything anew. What is wrong with the log is said on the page; it
// does not keep anybody from reading the addresses.
func (h *Handler) snapshot(now time.Time, before *snapshot) (*snapshot, error) {
	if before == nil {
		before = &snapshot{}
	}
	l, verifiers := h.log()
	p, err := h.publication(before.published, verifiers)
	if err != nil {
		return nil, err
	}
	s := &snapshot{made: now, published: p, files: map[string]*file{}}
	add := func(name string, content []byte) { s.files[name] = newFile(name, content, before, now) }
	for _, f := range p.files {
		add(filesDir+f.Name, f.Content)
	}
	if l.Verifier != "" {
		add(auditDir+verifierName, []byte(strings.Join(verifiers, "\n")+"\n\n"+l.PEM))
		add(auditDir+pemName, []byte(l.PEM))
	}
	if l.Note != "" {
		add(auditDir+checkpointName, []byte(l.Note))
	}
	content, err := h.set.Render("index", h.view(p, l, now))
	if err != nil {
		return nil, err
	}
	add(pageName, content)
	return s, nil
}

// log reads the key and the checkpoint. The checkpoint first: a key that is rotated
// between the two has signed no earlier one, and those before it are known still.
func (h *Handler) log() (l log, verifiers []string) {
	note, made := h.checkpoint(&l)
	if h.o.Key == nil {
		return l, nil
	}
	verifiers, pem, err := h.o.Key()
	if err != nil {
		h.o.Logger.Warn("the public page shows no audit key: it can't be read", "error", err,
			"hint", "look at audit-key.json in JIRAGATE_DATA_DIR, and at the keyset")
		l.NoKey = true
		return l, nil
	}
	if len(verifiers) == 0 {
		return l, nil
	}
	l.Verifier, l.PEM = verifiers[len(verifiers)-1], string(pem)
	for i := len(verifiers) - 2; i >= 0; i-- {
		l.Earlier = append(l.Earlier, verifiers[i])
	}
	if note == nil {
		return l, verifiers
	}
	c, err := opened(note, verifiers)
	if err != nil {
		h.o.Logger.Warn("the public page shows no checkpoint: it does not verify", "error", err,
			"hint", "find the reason with jiragate audit verify; keep the data directory as it is")
		l.NoCheckpoint = true
		return l, verifiers
	}
	l.Note, l.Checkpoint, l.Signed = string(note), c, made
	l.Root = strings.SplitN(l.Note, "\n", 4)[2]
	return l, verifiers
}

func (h *Handler) checkpoint(l *log) (note []byte, made time.Time) {
	if h.o.Checkpoint == nil {
		return nil, time.Time{}
	}
	note, made, err := h.o.Checkpoint()
	if err != nil {
		h.o.Logger.Warn("the public page shows no checkpoint: it can't be read", "error", err,
			"hint", "look at audit/ in JIRAGATE_DATA_DIR: the file's mode and the disk")
		l.NoCheckpoint = true
		return nil, time.Time{}
	}
	return note, made
}

// opened is the checkpoint in a note that one of the keys has signed.
func opened(note []byte, verifiers []string) (checkpoint.Checkpoint, error) {
	trust, err := checkpoint.NewTrust(verifiers...)
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("reading the audit keys: %w", err)
	}
	return trust.Open(note)
}

// has reports whether there is a file of that name.
func (p *published) has(name string) bool {
	for _, f := range p.files {
		if f.Name == name {
			return true
		}
	}
	return false
}
