package report

import (
	"errors"
	"fmt"
)

// Names of the files of a report.
const (
	PageName = "report.html"
	CSVName  = "report.csv"
	JSONName = "report.json"

	// ChecksumsName is the file of the others' checksums, and SignedName the same
	// text as a signed note (c2sp.org/signed-note).
	ChecksumsName = "SHA256SUMS"
	SignedName    = "SHA256SUMS.note"
)

// Hashes are the SHA-256 of the files of a report, in lower case hexadecimal.
type Hashes struct {
	Page, CSV, JSON string
}

// HashesOf hashes the contents of the files. The page is the sealed one.
func HashesOf(page, csv, json []byte) Hashes {
	return Hashes{hashOf(page), hashOf(csv), hashOf(json)}
}

// Checksums is the text of the file [ChecksumsName], and the one to sign: a line for
// each file, sorted by name, as `sha256sum -c` reads them. The names are fixed, so
// that the text can be taken for no other list of checksums.
func Checksums(h Hashes) ([]byte, error) {
	for _, hash := range []string{h.Page, h.CSV, h.JSON} {
		if !hashForm.MatchString(hash) {
			return nil, errors.New("a hash is not 64 lower case hexadecimal digits")
		}
	}
	return fmt.Appendf(nil, "%s  %s\n%s  %s\n%s  %s\n", h.CSV, CSVName, h.Page, PageName, h.JSON, JSONName), nil
}
