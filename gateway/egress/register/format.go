package register

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// formatVersion is the version of the file's format.
const formatVersion = 1

// maxSize bounds the file, in bytes. A full register of the longest changes fits.
const maxSize = 2 << 20

// document is the file.
type document struct {
	Version int      `json:"version"`
	Region  string   `json:"region"`
	Changes []Change `json:"changes"`
}

// format returns the content of the file: one change a line, so that whoever
// compares two copies sees what was added.
func (h *history) format(region string) ([]byte, error) {
	name, err := json.Marshal(region)
	if err != nil {
		return nil, err
	}
	b := fmt.Appendf(nil, "{\n  \"version\": %d,\n  \"region\": %s,\n  \"changes\": [", formatVersion, name)
	for i, c := range h.changes {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("change %d: %w", i+1, err)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n    "...)
		b = append(b, line...)
	}
	return append(b, "\n  ]\n}\n"...), nil
}

// parse reads the content of the file of a region. Nothing but white space may
// differ from what format writes, so that one history has one form: no unknown,
// repeated or reordered names, no other spelling of a time or an address.
func parse(content []byte, region string) (*history, error) {
	if len(content) > maxSize {
		return nil, fmt.Errorf("it is larger than %d bytes, which no register is: %w", maxSize, errRestore)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	if head.Version != formatVersion {
		return nil, fmt.Errorf("its format version is %d, and this jiragate knows %d: use the jiragate that wrote it", head.Version, formatVersion)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	if d.Region != region {
		return nil, fmt.Errorf("it is of region %.32q, and this gateway's is %q: give each region a data directory of its own", d.Region, region)
	}
	h := &history{}
	for i, c := range d.Changes {
		c.Announced, c.Effective = c.Announced.UTC(), c.Effective.UTC()
		if err := h.apply(c); err != nil {
			// Not wrapped: those errors are about what is asked of a register.
			return nil, fmt.Errorf("change %d, of %s: %v: %w", i+1, plain(c.Address), err, errRestore)
		}
	}
	return h, checkForm(content, h, region)
}

// checkForm compares content with what h is written as.
func checkForm(content []byte, h *history, region string) error {
	written, err := h.format(region)
	if err != nil {
		return err
	}
	var got, want bytes.Buffer
	if err := errors.Join(json.Compact(&got, content), json.Compact(&want, written)); err != nil {
		return err
	}
	if bytes.Equal(got.Bytes(), want.Bytes()) {
		return nil
	}
	g, w := got.Bytes(), want.Bytes()
	at := 0
	for at < min(len(g), len(w)) && g[at] == w[at] {
		at++
	}
	return fmt.Errorf("it has %s where jiragate writes %s: %w", around(g, at), around(w, at), errRestore)
}

// around quotes what is at and around an offset of b.
func around(b []byte, at int) string {
	return fmt.Sprintf("%q", b[max(0, at-24):min(len(b), at+24)])
}

// errRestore ends the errors of a file that was damaged, or edited by hand.
var errRestore = errors.New("restore the file from a backup")
