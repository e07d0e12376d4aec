package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// files are what pages load. The charting library is uPlot 1.6.32, as it was
// published; its licence is beside it.
//
//go:embed assets
var files embed.FS

// assets are the files under the base of a face, each at an address that changes with
// its content, so that browsers may keep it.
type assets struct {
	base    string
	content map[string][]byte
	version map[string]string
}

func embedded(base string) *assets {
	a := &assets{base: base, content: map[string][]byte{}, version: map[string]string{}}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, e := range entries {
		b, err := files.ReadFile(path.Join("assets", e.Name()))
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		a.content[e.Name()] = b
		a.version[e.Name()] = base64.RawURLEncoding.EncodeToString(sum[:9])
	}
	return a
}

// url is the address of a file, for templates.
func (a *assets) url(name string) string {
	return a.base + "assets/" + name + "?v=" + a.version[name]
}

// Assets serves the files that the pages load, by the last element of the path.
func (s *Set) Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		content, ok := s.assets.content[name]
		h := w.Header()
		Secure(h)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.URL.RawQuery == "v="+s.assets.version[name] {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if strings.HasSuffix(name, ".LICENSE") {
			h.Set("Content-Type", "text/plain; charset=utf-8")
		}
		whole := r.Clone(r.Context())
		whole.Header.Del("Range") // what is wrong with one would be answered without Cache-Control
		http.ServeContent(w, whole, name, time.Time{}, bytes.NewReader(content))
	})
}
