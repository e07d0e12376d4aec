package offsite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"jiragate/tokenstore/secret"
)

const (
	maxPlaces = 16
	maxTarget = 2048 // bytes of a path or URL
)

// Kind says what a place is.
type Kind string

// The kinds of places.
const (
	KindDirectory Kind = "directory"
	KindStdout    Kind = "stdout"
	KindEndpoint  Kind = "endpoint"
	KindStore     Kind = "store"
)

// Place is where checkpoints are brought. Places come from [ParsePlaces].
type Place struct {
	kind   Kind
	dir    string
	url    secret.Secret // it may have a token in it
	plain  bool          // http, on this machine
	public string        // what may be shown of the URL
}

// Kind returns what p is.
func (p Place) Kind() Kind { return p.kind }

// String returns the directory, "stdout", "store", or of an endpoint the scheme and host,
// followed by /… if there is more: there may be a token in it.
func (p Place) String() string {
	switch p.kind {
	case KindDirectory:
		return p.dir
	case KindEndpoint:
		return p.public
	}
	return string(p.kind)
}

// same reports whether both lead to the same place.
func (p Place) same(q Place) bool {
	return p.kind == q.kind && p.dir == q.dir && p.url.Equal(q.url)
}

// ParsePlaces reads places, separated by commas, white space around them is free:
//
//   - an absolute path: a directory;
//   - stdout;
//   - store: where all gateways publish theirs;
//   - an https:// URL, or http:// on this machine (localhost, 127.0.0.0/8, [::1]),
//     without user info and fragment. A comma in it is written %2C.
//
// Nothing gives no places. The error names a place by its number, from 1, and
// quotes nothing, since there may be a secret in a URL. Whether a place can be
// reached is not looked at.
func ParsePlaces(s string) ([]Place, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var places []Place
	for i, one := range strings.Split(s, ",") {
		if i == maxPlaces {
			return nil, fmt.Errorf("there are more than %d places for checkpoints: leave some out", maxPlaces)
		}
		p, err := parsePlace(strings.TrimSpace(one))
		if err != nil {
			return nil, fmt.Errorf("place %d for checkpoints: %w", i+1, err)
		}
		for j, other := range places {
			if p.same(other) {
				return nil, fmt.Errorf("place %d for checkpoints is the same as place %d: leave one out", i+1, j+1)
			}
		}
		places = append(places, p)
	}
	return places, nil
}

func parsePlace(s string) (Place, error) {
	switch {
	case s == "":
		return Place{}, errors.New("it is empty: leave out the comma too many")
	case len(s) > maxTarget:
		return Place{}, fmt.Errorf("it is longer than %d bytes", maxTarget)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable):
		return Place{}, errors.New("it has characters in it that can't be seen")
	case s == string(KindStdout), s == string(KindStore):
		return Place{kind: Kind(s)}, nil
	case filepath.IsAbs(s):
		return Place{kind: KindDirectory, dir: filepath.Clean(s)}, nil
	case strings.Contains(s, "://"):
		return parseEndpoint(s)
	}
	return Place{}, errors.New("it is neither a directory's absolute path (/…), nor stdout, nor store, nor an https:// URL")
}

// unprintable: control, invisible and bidirectional characters. Places are shown
// on terminals.
func unprintable(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
