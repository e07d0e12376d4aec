package page

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"unicode/utf8"
)

// Set is the templates of one face, whose pages are defined by one file each. It is
// safe for concurrent use.
type Set struct {
	assets *assets
	pages  map[string]*template.Template
}

// New makes the templates in files: each of its "NAME.html" is the page NAME, made of
// "layout.html" and all that is in files beginning with an underscore. base is the
// path of the face, with a slash at either end, or "" where pages refer to the files
// beside them. funcs are added to those of this package.
func New(files fs.FS, base string, funcs template.FuncMap) (*Set, error) {
	s := &Set{assets: embedded(base), pages: map[string]*template.Template{}}
	common := template.New("").Funcs(functions).Funcs(template.FuncMap{"asset": s.assets.url}).Funcs(funcs)
	common, err := common.ParseFS(files, "layout.html", "_*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the templates: %w", err)
	}
	names, err := fs.Glob(files, "[a-z]*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == "layout.html" {
			continue
		}
		t, err := common.Clone()
		if err == nil {
			t, err = t.ParseFS(files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the template of a page: %w", err)
		}
		s.pages[name[:len(name)-len(".html")]] = t
	}
	return s, nil
}

// Render makes a page of data.
func (s *Set) Render(name string, data any) ([]byte, error) {
	t, ok := s.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %q", name)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout.html", data); err != nil {
		return nil, fmt.Errorf("making the page %q: %w", name, err)
	}
	if !utf8.Valid(body.Bytes()) { // of what somebody sent, and is shown
		return bytes.ToValidUTF8(body.Bytes(), []byte("\ufffd")), nil
	}
	return body.Bytes(), nil
}

// Write answers with a page, made of data. Nothing is written before all of it could
// be made; the error is then the caller's to tell of.
func (s *Set) Write(w http.ResponseWriter, status int, name string, data any) error {
	body, err := s.Render(name, data)
	if err != nil {
		return err
	}
	h := w.Header()
	Secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the status is out; a browser that has gone can't be told more
	return nil
}

// Secure sets the fields that keep an answer from being anything but read, by whoever
// asked for it. Answers aren't kept; who may be is told anew.
func Secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
	// Not no-referrer, with which a browser hides the origin of a form from us, too.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}
