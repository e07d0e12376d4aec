package keyset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"jiragate/tokenstore/internal/privatefile"
	"jiragate/tokenstore/secret"
)

// maxKeyset is the most that is read of a keyset, in bytes. A key takes about
// 300 in JSON.
const maxKeyset = 256 << 10

// Options of [Open].
type Options struct {
	// Create makes a new keyset where a file: URI names no file yet. The file has
	// mode 0600, and appears as a whole or not at all.
	Create bool
}

// Open opens the keyset that a key URI names:
//
//	file:PATH  a file of mode 0600 (not a symbolic link) holding the keyset as JSON
//	env:NAME   an environment variable holding the keyset as JSON
//
// The variable is removed from the environment once read, so that child
// processes don't inherit it; what the kernel shows in /proc/PID/environ stays.
//
// A file that is missing, without Create, is [fs.ErrNotExist].
func Open(uri string, o Options) (*Keyset, error) {
	scheme, rest, _ := strings.Cut(uri, ":")
	switch scheme {
	case "file":
		return openFile(rest, o)
	case "env":
		return openEnv(rest)
	case "aws-kms", "gcp-kms", "hcvault":
		return nil, fmt.Errorf("key URI %s:…: this version supports file: and env: only", scheme)
	}
	// Not quoted: it may be the keyset itself, given in place of its URI.
	return nil, errors.New("the key URI is of an unknown kind: use file:PATH or env:NAME")
}

func openFile(path string, o Options) (*Keyset, error) {
	if path == "" {
		return nil, errors.New("key URI file: names no file: use file:PATH")
	}
	if strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
		return nil, errors.New("key URI file://… names a host: use file:PATH, for instance file:/var/lib/jiragate/keyset.json")
	}
	k, err := readFile(path)
	if o.Create && errors.Is(err, fs.ErrNotExist) {
		if err := createFile(path); err != nil {
			return nil, fmt.Errorf("making a keyset in file %s: %w", path, err)
		}
		k, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the keyset: %w", err)
	}
	return k, nil
}

func readFile(path string) (*Keyset, error) {
	f, err := privatefile.Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyset+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	k, err := parse(string(b))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	return k, nil
}

// createFile leaves a file alone that another process has made meanwhile: both
// go on with that one.
func createFile(path string) error {
	k, err := New()
	if err != nil {
		return err
	}
	json, err := k.JSON()
	if err != nil {
		return err
	}
	if err := privatefile.Create(path, []byte(json.Reveal()+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func openEnv(name string) (*Keyset, error) {
	json, ok := os.LookupEnv(name)
	if !ok || json == "" {
		return nil, fmt.Errorf("opening the keyset: the environment variable %q is not set", name)
	}
	if err := os.Unsetenv(name); err != nil {
		return nil, fmt.Errorf("removing %q from the environment: %w", name, err)
	}
	k, err := parse(json)
	if err != nil {
		return nil, fmt.Errorf("opening the keyset in the environment variable %q: %w", name, err)
	}
	return k, nil
}

func parse(json string) (*Keyset, error) {
	if len(json) > maxKeyset {
		return nil, fmt.Errorf("it is longer than %d bytes", maxKeyset)
	}
	return Parse(secret.New(json))
}
