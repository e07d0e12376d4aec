package public

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"jiragate/gateway/egress/publication"
	"jiragate/gateway/egress/register"
)

// sameFor is how long a publication stays the same at most.
const sameFor = time.Hour

// published is a publication as it is served.
type published struct {
	document publication.Document
	listed   []publication.Address
	retired  []publication.Address
	files    []publication.File
	says     string // equal where another one would say the same
}

// publication returns what is published now: the one before, where that is recent and
// would say the same, or could not be made anew.
func (h *Handler) publication(before *published, verifiers []string) (*published, error) {
	p := &published{document: h.o.Document()}
	var err error
	if p.listed, p.retired, err = p.document.Addresses(); err != nil {
		return nil, err
	}
	p.document.Created = p.document.Created.UTC().Truncate(time.Second)
	if err := p.statement(verifiers); err != nil {
		return nil, err
	}
	same := before != nil && before.says == p.says
	if same {
		if age := p.document.Created.Sub(before.document.Created); age >= 0 && age < sameFor {
			return before, nil
		}
	}
	if err := h.write(p); err != nil {
		if same {
			h.o.Logger.Warn("the publication can't be made anew; it says the same still", "error", err,
				"hint", "jiragate egress publish says the same on the command line; look at the register and the audit key in JIRAGATE_DATA_DIR")
			return before, nil
		}
		return nil, err
	}
	return p, nil
}

// statement notes what p says, but for when it was made.
func (p *published) statement(verifiers []string) error {
	d := p.document
	b, err := json.Marshal(struct {
		Region, SyncToken, Policy string
		Listed, Retired           []publication.Address
		History                   []register.Change
		Verifiers                 []string
	}{d.Region, d.SyncToken, d.Policy.SHA256() + d.Policy.Version(), p.listed, p.retired, d.History, verifiers})
	p.says = string(b)
	return err
}

// write makes the files, and signs their checksums.
func (h *Handler) write(p *published) error {
	files, err := p.document.Files()
	if err != nil {
		return err
	}
	p.files = files
	if h.o.Sign == nil {
		return nil
	}
	sums := files[len(files)-1]
	if sums.Name != publication.ChecksumsName {
		return errors.New("the publication has no checksums to sign")
	}
	note, err := h.o.Sign(sums.Content)
	if err != nil {
		return fmt.Errorf("signing the publication: %w", err)
	}
	p.files = append(p.files, publication.File{Name: publication.SignedName, Content: note, About: "The same text, signed with the audit key."})
	return nil
}
