package signer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// successionHeader is the first line of a succession. It has spaces, which no
// name of a key has, so that no text that begins with a name is taken for one.
const successionHeader = "jiragate audit key succession\n"

func successionText(older, newer identity) string {
	return successionHeader + older.text + "\n" + newer.text + "\n"
}

// succeed makes the note by which who trusts the older key learns the newer one.
// Both sign: the older one names its successor, and the newer one proves that
// whoever made it has its private half.
func succeed(older, newer private) (string, error) {
	signed, err := note.Sign(&note.Note{Text: successionText(older.identity, newer.identity)}, older, newer)
	if err != nil {
		return "", fmt.Errorf("sign the succession: %w", err)
	}
	// As for every text, it must verify before it is given away.
	if err := checkSuccession(string(signed), older.identity, newer.identity); err != nil {
		return "", fmt.Errorf("check the succession just signed: %w", err)
	}
	return string(signed), nil
}

// checkSuccession lets through what succeed returns for those keys, and nothing
// else: not even another spelling of it.
func checkSuccession(signed string, older, newer identity) error {
	n, err := note.Open([]byte(signed), note.VerifierList(older, newer))
	if err != nil {
		return fmt.Errorf("its succession: %w", err)
	}
	if n.Text != successionText(older, newer) {
		return fmt.Errorf("its succession is not that from %s to %s", older.text, newer.text)
	}
	if len(n.Sigs) != 2 {
		return errors.New("its succession is not signed by both keys")
	}
	var want strings.Builder
	want.WriteString(n.Text + "\n")
	for i, id := range []identity{older, newer} {
		s := n.Sigs[i]
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil || s.Hash != id.KeyHash() {
			return errors.New("its succession is not as jiragate writes it")
		}
		fmt.Fprintf(&want, "— %s %s\n", id.Name(), s.Base64)
	}
	if signed != want.String() {
		return errors.New("its succession is not as jiragate writes it")
	}
	return nil
}

// Successions returns the succession of each key that [Key.Rotate] made, the
// oldest first.
func (k *Key) Successions() [][]byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return successions(k.entries)
}

func successions(entries []entry) [][]byte {
	var all [][]byte
	for _, e := range entries {
		if e.succession != "" {
			all = append(all, []byte(e.succession))
		}
	}
	return all
}

// Verifiers is [Key.Verifiers] of a file, which needs no sealer. That the private
// keys open is for [Open] to say. Where there is no file, it fails with
// [io/fs.ErrNotExist].
func Verifiers(path string) ([]string, error) {
	entries, _, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("signer: read the public keys: %w", err)
	}
	return texts(entries), nil
}
