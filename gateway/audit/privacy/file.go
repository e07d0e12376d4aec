package privacy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"jiragate/internal/privatefile"
)

const (
	// formatVersion is the version of the file's format.
	formatVersion = 1

	// maxSealed bounds what is sealed, in bytes: 65 under a keyset of Tink. maxFile
	// bounds the file.
	maxSealed = 4 << 10
	maxFile   = 16 << 10
)

// entry is the key as it is kept.
type entry struct {
	created time.Time // UTC, to the second
	sealed  []byte
}

// document is an entry as it is written.
type document struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	Sealed  []byte    `json:"sealed"`
}

// errRestore ends the errors of a file that was damaged, or edited by hand.
var errRestore = errors.New("restore the file from a backup")

// encode returns the content of the file, with the certainty that it is read again.
func encode(e entry) ([]byte, error) {
	content, err := json.MarshalIndent(document{formatVersion, e.created, e.sealed}, "", "  ")
	if err != nil {
		return nil, err
	}
	content = append(content, '\n')
	if _, err := parse(content); err != nil {
		return nil, fmt.Errorf("it could not be read again: %w", err)
	}
	return content, nil
}

// parse reads the content of the file. Nothing but white space may differ from what
// encode writes.
func parse(content []byte) (entry, error) {
	if len(content) > maxFile {
		return entry{}, fmt.Errorf("it is larger than %d bytes, which no file of a key is: %w", maxFile, errRestore)
	}
	var head struct{ Version int }
	if err := json.Unmarshal(content, &head); err != nil {
		return entry{}, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	if head.Version != formatVersion {
		return entry{}, fmt.Errorf("its format version is %d, and this jiragate knows %d: use the jiragate that wrote it", head.Version, formatVersion)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return entry{}, fmt.Errorf("it is not the JSON it should be (%w): %w", err, errRestore)
	}
	switch {
	case len(d.Sealed) == 0 || len(d.Sealed) > maxSealed:
		return entry{}, fmt.Errorf("what is sealed is %d bytes long, where there are from 1 to %d: %w", len(d.Sealed), maxSealed, errRestore)
	case d.Created.IsZero() || d.Created.Nanosecond() != 0:
		return entry{}, fmt.Errorf("it was not made at %s, times are whole seconds: %w", d.Created.Format(time.RFC3339Nano), errRestore)
	}
	e := entry{d.Created.UTC(), d.Sealed}
	written, err := json.Marshal(document{formatVersion, e.created, e.sealed})
	if err != nil {
		return entry{}, err
	}
	var got bytes.Buffer
	if err := json.Compact(&got, content); err != nil {
		return entry{}, err
	}
	if !bytes.Equal(got.Bytes(), written) {
		return entry{}, fmt.Errorf("it is not as jiragate writes it: %w", errRestore)
	}
	return e, nil
}

// read reads the file. Where there is none, the error is [fs.ErrNotExist].
func read(path string) (entry, privatefile.Sum, error) {
	f, err := privatefile.Open(path, os.O_RDONLY)
	if err != nil {
		return entry{}, privatefile.Sum{}, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return entry{}, privatefile.Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	e, err := parse(content)
	if err != nil {
		return entry{}, privatefile.Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	return e, privatefile.SumOf(content), nil
}
