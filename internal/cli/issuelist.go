package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"jiragate/tokenstore"
)

// maxIssueList bounds a list of issues, in bytes: some millions of them.
const maxIssueList = 64 << 20

// maxIssueLine bounds one line of it, in bytes.
const maxIssueLine = 4 << 10

// issueListForms are the forms of a list, for errors.
const issueListForms = `one issue a line, as "10042 ACME-17", "10042,ACME-17", or one of the two; or JSON objects {"id": ..., "key": ..., "created_at": ...}`

// parseIssueList reads issues of a connection: one a line, by id, key or both,
// separated by a comma or white space; or one JSON object a line, or an array of
// them. Empty lines, those that begin with "#", and a heading "id,key" are left
// out. All are validated, and an error names the line (or the element), so that
// nothing is imported of a list that is not in order.
func parseIssueList(r io.Reader, connection string) ([]tokenstore.PublishedIssue, error) {
	limited := &io.LimitedReader{R: r, N: maxIssueList + 1}
	in := bufio.NewReaderSize(limited, maxIssueLine)
	var list []tokenstore.PublishedIssue
	var err error
	if first, _ := in.Peek(1); len(first) == 1 && first[0] == '[' {
		list, err = parseIssueArray(in, connection)
	} else {
		list, err = parseIssueLines(in, connection)
	}
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("the list is larger than %d bytes: import it in parts", maxIssueList)
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, errors.New("the list names no issue: use " + issueListForms)
	}
	return list, nil
}

func parseIssueLines(in *bufio.Reader, connection string) ([]tokenstore.PublishedIssue, error) {
	var list []tokenstore.PublishedIssue
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: %w", n, readProblem(err))
		}
		text := strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff"))
		if text != "" && text[0] != '#' && !(len(list) == 0 && isHeading(text)) {
			i, problem := parseIssueLine(text, connection)
			if problem != nil {
				return nil, fmt.Errorf("line %d: %w", n, problem)
			}
			list = append(list, i)
		}
		if err != nil {
			return list, nil
		}
	}
}

func readProblem(err error) error {
	if errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("it is longer than %d bytes", maxIssueLine)
	}
	return err
}

func isHeading(line string) bool {
	fields := issueFields(strings.ToLower(line))
	for _, f := range fields {
		if f != "id" && f != "key" {
			return false
		}
	}
	return len(fields) > 0
}

func issueFields(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\t' })
}

func parseIssueLine(text, connection string) (tokenstore.PublishedIssue, error) {
	if text[0] == '{' {
		return parseIssueObject([]byte(text), connection)
	}
	i := tokenstore.PublishedIssue{Connection: connection}
	for _, f := range issueFields(text) {
		f = strings.Trim(f, `"`)
		switch isKey := strings.Contains(f, "-"); {
		case isKey && i.Key == "":
			i.Key = f
		case !isKey && i.ID == "":
			i.ID = f
		default:
			return i, errors.New("it names more than one issue: use " + issueListForms)
		}
	}
	return i, i.Validate()
}

// issueMember is one element of a JSON list.
type issueMember struct {
	ID        string    `json:"id"`
	Key       string    `json:"key"`
	CreatedAt time.Time `json:"created_at"`
}

func (m issueMember) issue(connection string) (tokenstore.PublishedIssue, error) {
	i := tokenstore.PublishedIssue{Connection: connection, ID: m.ID, Key: m.Key, CreatedAt: m.CreatedAt}
	return i, i.Validate()
}

func parseIssueObject(b []byte, connection string) (tokenstore.PublishedIssue, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var m issueMember
	if err := d.Decode(&m); err != nil || d.InputOffset() != int64(len(b)) {
		return tokenstore.PublishedIssue{}, errors.New(`it is not a JSON object {"id": ..., "key": ..., "created_at": ...} of texts`)
	}
	return m.issue(connection)
}

func parseIssueArray(in io.Reader, connection string) ([]tokenstore.PublishedIssue, error) {
	malformed := errors.New("it is not a JSON array: use " + issueListForms)
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	var list []tokenstore.PublishedIssue
	for n := 1; d.More(); n++ {
		var m issueMember
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf(`element %d is not {"id": ..., "key": ..., "created_at": ...} of texts`, n)
		}
		i, err := m.issue(connection)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", n, err)
		}
		list = append(list, i)
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON array")
	}
	return list, nil
}
