package public

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"path"
	"time"

	"jiragate/gateway/admin/page"
)

// Where files are, below the base.
const (
	pageName = ""
	filesDir = "files/"
	auditDir = "audit/"

	verifierName   = "audit-key.txt"
	pemName        = "audit-key.pem"
	checkpointName = "latest.checkpoint"
)

// file is something to serve as it is.
type file struct {
	name     string // path below the base
	content  []byte
	etag     string
	modified time.Time // when it was first seen to have this content
}

// newFile keeps the time of the file that was there before, if that is the same.
func newFile(name string, content []byte, before *snapshot, now time.Time) *file {
	sum := sha256.Sum256(content)
	f := &file{name: name, content: content, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`, modified: now}
	if before != nil && before.files[name] != nil && before.files[name].etag == f.etag {
		f.modified = before.files[name].modified
	}
	return f
}

// kinds are the media types of files by the ends of their names; anything else is
// text. Rules for a firewall are text, too: they have no types that browsers know.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".json": "application/json",
	".csv":  "text/csv; charset=utf-8",
}

// downloads are the ends of names of what is loaded by programs or checked byte by
// byte, which a browser is to save and not to show.
var downloads = map[string]bool{".csv": true, ".nft": true, ".sh": true, ".conf": true, ".note": true, ".pem": true, ".checkpoint": true}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	page.Secure(h)
	end := path.Ext(f.name)
	if f.name != pageName {
		f.open(h, end)
	}
	kind := kinds[end]
	switch {
	case f.name == pageName:
		kind = kinds[".html"]
	case kind == "":
		kind = "text/plain; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	if downloads[end] {
		h.Set("Content-Disposition", `attachment; filename="`+path.Base(f.name)+`"`)
	}
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", f.modified, bytes.NewReader(f.content))
}

// open lets programs of any origin read a file, and keeps a browser from making
// anything of it.
func (f *file) open(h http.Header, end string) {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
	if end == ".html" { // has a style of its own, and a link to Atlassian
		policy = "default-src 'none'; style-src " + styleHash(f.content) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// styleHash is the source expression of the one style element of a page (CSP Level 3,
// section 2.3.1).
func styleHash(page []byte) string {
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, ok := bytes.Cut(rest, []byte("</style>"))
	if !ok {
		return "'none'"
	}
	sum := sha256.Sum256(style)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
