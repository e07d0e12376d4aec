package public

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jiragate/gateway/admin/page"
	"jiragate/gateway/egress/publication"
)

// Options say where the page is and where its facts come from. The functions are
// called by one goroutine at a time.
type Options struct {
	// Base is the path of the page: "/" or e.g. "/public/". Empty means "/".
	Base string

	// Document is what is published now, and Created in it the present time.
	Document func() publication.Document

	// Sign makes a signed note of the checksums; nil where nothing is signed. Where it
	// fails, nothing unsigned is served in its place.
	Sign func(text []byte) ([]byte, error)

	// Key is the public half of the audit key: the verifiers of all keys, that which
	// signs last, and that one in PEM. Nil where there is none.
	Key func() (verifiers []string, pem []byte, err error)

	// Checkpoint is the newest signed head of the audit log and when it was made; a
	// nil note where there is none yet. Nil where there is no log.
	Checkpoint func() (note []byte, made time.Time, err error)

	Version string           // of the program
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // of what could not be made; nil for none
}

const (
	// Every is how often the page is made anew at most.
	Every = 5 * time.Second
	// StaleFor is for how long the last page that could be made is served.
	StaleFor = 10 * time.Minute
	// patience is how long a visitor waits for a page that is being made.
	patience = 5 * time.Second
)

//go:embed all:pages
var pages embed.FS

// Handler serves the page and its files. It is safe for concurrent use.
type Handler struct {
	o      Options
	set    *page.Set
	assets http.Handler
	state  atomic.Pointer[state]

	mu     sync.Mutex
	making chan struct{} // closed when the attempt under way is over; nil where there is none
}

// state is what came of the last attempt to make the page.
type state struct {
	tried time.Time
	good  *snapshot // the last one that could be made; or nil
}

var baseForm = regexp.MustCompile(`^/([a-z0-9][a-z0-9._-]*/)*$`)

// New makes the handler; nothing is asked for before somebody visits. The error is
// about an option.
func New(o Options) (*Handler, error) {
	if o.Base == "" {
		o.Base = "/"
	}
	switch {
	case !baseForm.MatchString(o.Base):
		return nil, fmt.Errorf("the public page: the base %q is not a path of lower case letters, digits, dots, underscores and hyphens that begins and ends with a slash", o.Base)
	case o.Document == nil:
		return nil, errors.New("the public page: there is no document to show")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	templates, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, fmt.Errorf("the public page: %w", err)
	}
	set, err := page.New(templates, o.Base, functions)
	if err != nil {
		return nil, fmt.Errorf("the public page: %w", err)
	}
	h := &Handler{o: o, set: set, assets: set.Assets()}
	h.state.Store(&state{})
	return h, nil
}

// Serves reports whether a path is one of this handler's: below its base, or the base
// without its last slash.
func (h *Handler) Serves(path string) bool {
	return strings.HasPrefix(path, h.o.Base) || path == h.bare()
}

// bare is the base without its last slash, where a visitor is sent on.
func (h *Handler) bare() string { return strings.TrimSuffix(h.o.Base, "/") }

// ServeHTTP answers GET and HEAD, below the base:
//
//	.              the page
//	files/NAME     the files of the publication, its checksums and, signed, these
//	audit/NAME     the public key and the newest checkpoint
//	assets/NAME    what the page loads
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, below := strings.CutPrefix(r.URL.Path, h.o.Base)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		h.say(w, http.StatusMethodNotAllowed)
	case !below && r.URL.Path == h.bare():
		page.Secure(w.Header())
		w.Header().Set("Location", h.o.Base)
		w.WriteHeader(http.StatusMovedPermanently)
	case !below:
		h.say(w, http.StatusNotFound)
	case strings.HasPrefix(name, "assets/") && strings.Count(name, "/") == 1:
		h.assets.ServeHTTP(w, r)
	case name != pageName && !strings.HasPrefix(name, filesDir) && !strings.HasPrefix(name, auditDir):
		h.say(w, http.StatusNotFound) // without making anything
	default:
		s := h.current(r.Context())
		if s == nil {
			w.Header().Set("Retry-After", "5")
			h.say(w, http.StatusServiceUnavailable)
			return
		}
		f, ok := s.files[name]
		if !ok {
			h.say(w, http.StatusNotFound)
			return
		}
		f.serve(w, r)
	}
}

// say answers with a page that says why there is no other. It says nothing of the
// request.
func (h *Handler) say(w http.ResponseWriter, status int) {
	if err := h.set.Write(w, status, "other", refusals(h.o.Base, status)); err != nil {
		h.o.Logger.Error("a public page can't be made", "page", "other", "error", err, "hint", "a bug: report the error and the program's version")
		http.Error(w, http.StatusText(status), status)
	}
}

// current returns what to serve; nil where nothing could be made for too long.
func (h *Handler) current(ctx context.Context) *snapshot {
	if st := h.state.Load(); !st.due(h.o.Now()) {
		return st.at(h.o.Now())
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-h.renewed():
	case <-timer.C:
	case <-ctx.Done():
	}
	return h.state.Load().at(h.o.Now())
}

// renewed returns a channel that is closed once an attempt is over: the one under way,
// or another. However many wait, and however long it takes, there is one goroutine.
func (h *Handler) renewed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.making != nil {
		return h.making
	}
	made := make(chan struct{})
	h.making = made
	go func() {
		defer close(made)
		h.renew()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.making = nil
	}()
	return made
}

// due reports whether another attempt is to be made. A clock that was set back makes
// it due as well.
func (st *state) due(now time.Time) bool {
	age := now.Sub(st.tried)
	return age < 0 || age >= Every
}

func (st *state) at(now time.Time) *snapshot {
	if st.good == nil || now.Sub(st.good.made) >= StaleFor {
		return nil
	}
	return st.good
}

// renew makes another snapshot, unless somebody has done so since it was found due.
func (h *Handler) renew() {
	now, before := h.o.Now(), h.state.Load()
	if !before.due(now) {
		return
	}
	next := &state{tried: now, good: before.good}
	defer h.state.Store(next)
	made, err := h.guarded(now, before.good)
	if err != nil {
		h.o.Logger.Warn("the public page can't be made; the last one is served for up to "+StaleFor.String(), "error", err,
			"hint", "the error names what can't be read; look at JIRAGATE_DATA_DIR before that time is over")
		return
	}
	next.good = made
}

// guarded is snapshot whose panics are errors: a goroutine of its own makes it, where
// a panic would end the gateway.
func (h *Handler) guarded(now time.Time, before *snapshot) (s *snapshot, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("making the public page: panic: %v", p)
		}
	}()
	return h.snapshot(now, before)
}
