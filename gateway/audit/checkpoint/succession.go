package checkpoint

import (
	"errors"
	"fmt"
	"strings"
)

// successionHeader is the first line of a succession.
const successionHeader = "jiragate audit key succession"

// Learn reads a succession: a signed note of three lines, which names a key of the
// log and the key that followed it, signed by both. If the former is trusted and
// has signed, the latter, which is returned, is trusted from now on; learned is
// false if it was before.
//
// Where no trusted key hands on, nothing is learned: verifier is empty, and that is
// no error, since successions of keys older than the trusted ones are common. So
// give successions in their order, the oldest first. An error is what is no
// succession, bears a false signature, or lacks that of the new key: then the
// trusted keys stay what they are.
func (t *Trust) Learn(succession []byte) (verifier string, learned bool, err error) {
	k, err := t.learn(succession)
	if err == nil && k.text != "" {
		learned, err = t.add(k)
	}
	if err != nil {
		return "", false, fmt.Errorf("checkpoint: learn a key from a succession: %w", err)
	}
	return k.text, learned, nil
}

// learn returns no key where no trusted key hands on.
func (t *Trust) learn(succession []byte) (key, error) {
	older, newer, err := t.parties(succession)
	if err != nil || older.text == "" {
		return key{}, err
	}
	n, err := openNote(succession, []key{older, newer})
	if err != nil {
		return key{}, err
	}
	var byOlder, byNewer bool
	for _, s := range n.Sigs {
		byOlder = byOlder || s.Hash == older.KeyHash()
		byNewer = byNewer || s.Hash == newer.KeyHash()
	}
	switch {
	case !byOlder:
		return key{}, nil
	case !byNewer:
		return key{}, fmt.Errorf("the new key, %s, has not signed it: nobody has shown to have its private half", newer.text)
	}
	return newer, nil
}

// parties returns the keys that a succession names; no older one where that is not
// trusted. Nothing is proven by that.
func (t *Trust) parties(succession []byte) (older, newer key, err error) {
	n, err := openNote(succession, nil)
	if err != nil {
		return key{}, key{}, err
	}
	body, ended := strings.CutSuffix(n.Text, "\n")
	lines := strings.Split(body, "\n")
	if !ended || len(lines) != 3 || lines[0] != successionHeader {
		return key{}, key{}, fmt.Errorf("it is not the three lines of one, of which the first is %q", successionHeader)
	}
	if older, err = parseKey(lines[1]); err != nil {
		return key{}, key{}, fmt.Errorf("its old key: %w", err)
	}
	if newer, err = parseKey(lines[2]); err != nil {
		return key{}, key{}, fmt.Errorf("its new key: %w", err)
	}
	switch {
	case older.Name() != newer.Name() && !names(older.Name(), newer.Name()):
		return key{}, key{}, fmt.Errorf("its keys are named %s and %s: keys of one log have one name, or the later one has that of the node, too", older.Name(), newer.Name())
	case older.text == newer.text:
		return key{}, key{}, errors.New("its old and its new key are the same")
	}
	for _, k := range t.keys {
		if k.text == older.text {
			return older, newer, nil
		}
	}
	return key{}, newer, nil
}
