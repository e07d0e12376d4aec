package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jiragate/gateway/admin"
	"jiragate/gateway/admin/signin"
)

// maxForm bounds the body of a form, in bytes: certificates are the longest.
const maxForm = 256 << 10

// visit is one request of somebody who is signed in, on its way to a page.
type visit struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request
	session *signin.Session
	now     time.Time
}

// visited makes a handler of f. Who is not signed in is asked to, and then comes back.
func (c *Console) visited(f pageFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := c.signin.Session
		if r.Pattern == live {
			known = c.signin.Peek
		}
		session, ok := known(r)
		if !ok {
			http.Redirect(w, r, signin.PathFor(r.Method, r.URL), http.StatusSeeOther)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		v := &visit{Console: c, w: w, r: r, session: session, now: c.o.Now().UTC()}
		if err := f(v); err != nil {
			v.fail(err)
		}
	})
}

// checked is f for forms that this session's pages have made.
func checked(f pageFunc) pageFunc {
	return func(v *visit) error {
		var long *http.MaxBytesError
		if errors.As(v.r.ParseForm(), &long) {
			return &admin.Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the form is larger than %d KiB", maxForm>>10), Hint: "nothing was done"}
		}
		if err := v.signin.CheckCSRF(v.r); err != nil {
			return &admin.Problem{Status: http.StatusForbidden, Detail: err.Error(), Hint: "nothing was done"}
		}
		return f(v)
	}
}

// fail shows what has gone wrong.
func (v *visit) fail(err error) {
	p := &admin.Problem{Status: http.StatusInternalServerError, Detail: "the page could not be made; the gateway's log says why"}
	if !errors.As(err, &p) {
		v.o.Logger.ErrorContext(v.r.Context(), "a page of the console can't be made", "path", v.r.URL.Path, "error", err, "hint", "a bug: report the error and the program's version")
	}
	err = v.show(p.Status, "problem", view{Title: problemTitle(p.Status), Section: sectionOf(v.r.URL.Path), Data: p})
	if err != nil {
		v.o.Logger.ErrorContext(v.r.Context(), "a page of the console can't be made", "error", err, "hint", "a bug: report the error and the program's version")
		http.Error(v.w, "internal error", http.StatusInternalServerError)
	}
}

// sectionOf is the part of the navigation that an address belongs to, if it does to any.
func sectionOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, base), "/")
	switch first {
	case "connect":
		return "connections"
	case "add-client":
		return "clients"
	case "":
		if path != base {
			return "none"
		}
	}
	return first
}

func problemTitle(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "Not found"
	case status == http.StatusForbidden:
		return "Not allowed"
	case status < 500:
		return "This can't be done"
	case status == http.StatusServiceUnavailable:
		return "Not available now"
	}
	return "Something went wrong"
}

// view is what a template gets.
type view struct {
	Title   string
	Section string // of the navigation, as its path below base
	Charts  bool   // the page has some
	Live    bool   // the page follows calls
	Notice  *notice
	Data    any

	// These are set by show.
	Visitor *signin.Session
	Now     time.Time
	Public  string
	Region  string
	Version string
}

// notice is told at the top of a page.
type notice struct {
	Kind string // good, warn or alert
	Text string
}

// May reports whether the visitor has a role, so that what they can't do is not offered.
func (v view) May(role string) bool { return v.Visitor.Caller.Role.Includes(admin.Role(role)) }

func (v *visit) show(status int, name string, data view) error {
	data.Visitor, data.Now, data.Public, data.Region, data.Version = v.session, v.now, v.o.PublicURL, v.o.Region, v.o.Version
	// Not where somebody else's link says so; browsers without the field are old.
	if from := v.r.Header.Get("Sec-Fetch-Site"); data.Notice == nil && (from == "" || from == "same-origin") {
		data.Notice = done[v.r.URL.Query().Get("done")]
	}
	return v.pages.Write(v.w, status, name, data)
}

// done are the notices of what was done before the browser was sent to a page.
var done = map[string]*notice{
	"disabled": {"good", "The connection is disabled: its calls are refused until it is enabled again."},
	"enabled":  {"good", "The connection is enabled."},
	"replaced": {"good", "The credential was replaced."},
	"removed":  {"good", "It was removed."},
	"granted":  {"good", "The client may use the connection from now on."},
	"revoked":  {"good", "The client may not use the connection any more."},
}

// back sends the browser to a page after something was done there.
func (v *visit) back(what string, path ...string) error {
	u := base
	for i, p := range path {
		if i > 0 {
			u += "/"
		}
		u += url.PathEscape(p)
	}
	if what != "" {
		u += "?done=" + what
	}
	http.Redirect(v.w, v.r, u, http.StatusSeeOther)
	return nil
}

// recorder keeps an answer of the API. What it unwraps to is for deadlines.
type recorder struct {
	http.ResponseWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// ask makes a request of the API on behalf of the visitor, and reads the answer into
// into, unless that is nil. body is sent as it is, if it is []byte, and as JSON
// otherwise. What the API refuses is an *admin.Problem.
func (v *visit) ask(method, path string, body, into any) (*recorder, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		content = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(admin.WithCaller(v.r.Context(), v.session.Caller), method, path, content)
	if err != nil {
		return nil, err
	}
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.RemoteAddr = v.r.RemoteAddr
	answer := &recorder{ResponseWriter: v.w, header: http.Header{}}
	v.o.API.ServeHTTP(answer, r)
	switch {
	case answer.status >= 300:
		p := &admin.Problem{}
		if err := json.Unmarshal(answer.body.Bytes(), p); err != nil || p.Status == 0 {
			return nil, fmt.Errorf("the API answered %s %s with %d", method, path, answer.status)
		}
		return nil, p
	case into != nil:
		if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
			return nil, fmt.Errorf("reading the API's answer to %s %s: %w", method, path, err)
		}
	}
	return answer, nil
}

func (v *visit) get(path string, into any) error {
	_, err := v.ask(http.MethodGet, path, nil, into)
	return err
}

// unread is err, if that says that the audit log can't be read at the moment. Then a
// page shows the rest all the same: it may hold what is shown only once.
func unread(err error) (*admin.Problem, error) {
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Code == admin.CodeUnavailable {
		return p, nil
	}
	return nil, err
}

// at makes a path of the API of its parts, which it escapes.
func at(parts ...string) string {
	path := "/v1"
	for _, p := range parts {
		if p == "." || p == ".." { // which would be a way to another path
			path += "/" + strings.ReplaceAll(p, ".", "%2E")
			continue
		}
		path += "/" + url.PathEscape(p)
	}
	return path
}

// showSignin shows the page to sign in at.
func (c *Console) showSignin(w http.ResponseWriter, r *http.Request, p signin.Page) {
	data := view{Title: "Sign in", Data: p, Now: c.o.Now().UTC(), Public: c.o.PublicURL, Region: c.o.Region, Version: c.o.Version}
	if err := c.pages.Write(w, p.Status, "signin", data); err != nil {
		c.o.Logger.ErrorContext(r.Context(), "the page to sign in at can't be made", "error", err, "hint", "a bug: report the error and the program's version")
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}
