package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"jiragate/gateway/admin"
	"jiragate/internal/privatefile"
	"jiragate/tokenstore"
	"jiragate/tokenstore/secret"
)

// maxSecretFile bounds what is read as a secret, in bytes; tokens of Atlassian
// have some kilobytes.
const maxSecretFile = 128 << 10

// readSecretFile reads the file at path, or standard input where path is "-".
// A file that others may read is warned about and read all the same, since
// secret mounts of orchestrators often are.
func (a *app) readSecretFile(path string) ([]byte, error) {
	if path == "-" {
		b, err := readBounded(a.in, "standard input")
		if err == nil && len(bytes.TrimSpace(b)) == 0 {
			err = errors.New("standard input is empty: the secret is expected there")
		}
		return b, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		a.warn(fmt.Sprintf("%s can be read by other users (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path))
	}
	return readBounded(f, path)
}

// maxInput bounds what is read that is no secret, in bytes.
const maxInput = 4 << 20

// readInput reads the file at path, or standard input where path is "-".
func (a *app) readInput(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read from
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxInput)
	}
	return b, err
}

func readBounded(r io.Reader, name string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(b) > maxSecretFile {
		return nil, fmt.Errorf("%s is larger than %d bytes, which no secret is", name, maxSecretFile)
	}
	return b, nil
}

// readSecret is a secret file that holds one value, less one line break at the
// end, as editors and echo leave it.
func (a *app) readSecret(path string) (secret.Secret, error) {
	b, err := a.readSecretFile(path)
	if err != nil {
		return secret.Secret{}, err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		return secret.Secret{}, fmt.Errorf("%s is empty", path)
	}
	return secret.New(s), nil
}

// readSettingSecret reads the file that a variable names, without line breaks at
// its end; nothing where it names none.
func readSettingSecret(variable, file string) (secret.Secret, error) {
	if file == "" {
		return secret.Secret{}, nil
	}
	b, err := privatefile.ReadSecret(file)
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return secret.Secret{}, hint(fmt.Errorf("%s%s: %w", envPrefix, variable, unreadable(file, err)), "it names a file that holds the secret")
	}
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%s%s: %w", envPrefix, variable, err)
	}
	defer clear(b)
	s := secret.New(strings.TrimRight(string(b), "\r\n"))
	if s.IsZero() {
		return s, fmt.Errorf("%s%s: %s is empty", envPrefix, variable, file)
	}
	return s, nil
}

// readClientToken is readSecret for a token that a client brings.
func (a *app) readClientToken(path string) (secret.Secret, error) {
	t, err := a.readSecret(path)
	if err != nil {
		return secret.Secret{}, err
	}
	if err := admin.CheckToken(t); err != nil {
		return secret.Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// oauthTokenMembers are what an OAuth token file may hold.
const oauthTokenMembers = "access_token, refresh_token, expiry and scope"

// parseOAuthToken reads an OAuth token file: one JSON object with the members
// access_token, refresh_token, expiry (RFC 3339) and scope (separated by
// spaces), all strings, each once, and no others; a token at least. No error
// quotes a value.
func parseOAuthToken(b []byte) (tokenstore.Credential, error) {
	members, err := stringMembers(b)
	if err != nil {
		return tokenstore.Credential{}, err
	}
	c := tokenstore.Credential{Kind: tokenstore.KindOAuth2}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		switch name {
		case "access_token":
			c.AccessToken = secret.New(value)
		case "refresh_token":
			c.RefreshToken = secret.New(value)
		case "expiry":
			if c.Expiry, err = time.Parse(time.RFC3339, value); err != nil {
				return tokenstore.Credential{}, errors.New("the member expiry must be a time like 2026-01-31T12:00:00Z (RFC 3339)")
			}
			c.Expiry = c.Expiry.UTC()
		case "scope":
			c.Scopes = strings.Fields(value)
		default:
			return tokenstore.Credential{}, fmt.Errorf("the member %s is unknown: use %s", memberName(name), oauthTokenMembers)
		}
	}
	if !c.AccessToken.IsZero() && c.Expiry.IsZero() {
		return tokenstore.Credential{}, errors.New("an access_token needs the member expiry")
	}
	if !c.Consented() {
		return tokenstore.Credential{}, errors.New("both access_token and refresh_token are missing or empty")
	}
	if err := c.Validate(); err != nil {
		return tokenstore.Credential{}, err
	}
	return c, nil
}

// stringMembers reads a JSON object of strings. Unlike encoding/json's way with
// structs it takes names byte for byte, and none twice.
func stringMembers(b []byte) (map[string]string, error) {
	malformed := errors.New("it must be one JSON object with the members " + oauthTokenMembers)
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed
	}
	members := map[string]string{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, malformed
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("the member %s stands there twice", memberName(name))
		}
		t, err = dec.Token()
		if err != nil {
			return nil, malformed
		}
		value, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("the member %s must be a string", memberName(name))
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, malformed
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed
	}
	return members, nil
}

// memberName is a name for an error. What does not look like one may be a
// value in the wrong place, and is not repeated.
func memberName(s string) string {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && s[i] != '_' {
			return "with another name"
		}
	}
	if len(s) > 20 {
		return "with another name"
	}
	return strconv.Quote(s)
}
