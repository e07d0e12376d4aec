package records

import (
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"jiragate/tokenstore"
)

// Change is a transaction in progress. An engine makes one for each attempt.
type Change struct {
	Writer
	aead  tink.AEAD
	now   time.Time
	fleet Fleet // nil where one process has the store

	// touching is told which connection is about to change, each time; nil: nobody is.
	touching func(id string)
	touched  []string
	clients  []string // that it changes
	// directory is set by what changes connections or clients.
	directory bool
	shreds    bool
}

// NewChange returns a change of what w gives access to. The time is that of its records.
// touching, which may be nil, is called with a connection before any of its records is written
// to. fleet is nil where one process has the store.
func NewChange(w Writer, a tink.AEAD, now time.Time, touching func(id string), fleet Fleet) *Change {
	return &Change{Writer: w, aead: a, now: utc(now), touching: touching, fleet: fleet}
}

// Touched are the connections that were changed, each once or more often.
func (t *Change) Touched() []string { return t.touched }

// Shreds reports whether the change removes sealed records that are to leave no trace.
func (t *Change) Shreds() bool { return t.shreds }

// touch is called before any record of a connection is written to.
func (t *Change) touch(id string) {
	if t.touching != nil {
		t.touching(id)
	}
	t.touched = append(t.touched, id)
}

// mustHave says that there is no such connection, if there is none.
func (t *Change) mustHave(connection string) error {
	there, err := t.Has(Connections, connection)
	if err == nil && !there {
		err = notFound("connection", connection)
	}
	return err
}

// put writes a record as JSON.
func (t *Change) put(b Bucket, key string, record any) error {
	v, err := encode(record)
	if err != nil {
		return err
	}
	return t.Put(b, key, v)
}

// Directory returns d with what was changed, or nil if that is nothing. Only what was
// changed is read, and not all there is.
func (t *Change) Directory(d *tokenstore.Directory) (*tokenstore.Directory, error) {
	if !t.directory {
		return nil, nil
	}
	connections := make(map[string]*tokenstore.Connection)
	for _, id := range t.touched {
		v, err := t.Get(Connections, id)
		if err != nil {
			return nil, err
		}
		if connections[id] = nil; v != nil {
			if connections[id], err = DecodeConnection([]byte(id), v); err != nil {
				return nil, err
			}
		}
	}
	clients := make(map[string]*tokenstore.Client)
	for _, name := range t.clients {
		v, err := t.Get(Clients, name)
		if err != nil {
			return nil, err
		}
		if clients[name] = nil; v != nil {
			if clients[name], err = DecodeClient([]byte(name), v); err != nil {
				return nil, err
			}
		}
	}
	return d.With(connections, clients), nil
}
