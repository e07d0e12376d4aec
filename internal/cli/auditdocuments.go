package cli

import (
	"errors"
	"fmt"

	"jiragate/gateway/audit"
	"jiragate/gateway/audit/checkpoint"
	"jiragate/gateway/audit/report"
	"jiragate/gateway/audit/signer"
)

// proven is a checked proof as JSON.
type proven struct {
	Status string `json:"status"` // "ok"
	Seq    uint64 `json:"seq"`
	Origin string `json:"origin"`
	Size   uint64 `json:"checkpointed"` // records that the checkpoint covers
	Record string `json:"record"`       // the line
}

func (a *app) verifyProof(file string, q verifyRequest) error {
	text, err := a.readInput(file)
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	trust, err := a.trustFor(q, "a proof")
	if err != nil {
		return err
	}
	p, err := checkpoint.ParseProof(text)
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	c, err := p.Verify(trust)
	if errors.Is(err, checkpoint.ErrUnsigned) {
		return hint(fmt.Errorf("the proof can't be checked: %w", err), keyHint)
	}
	if err != nil {
		return fmt.Errorf("the proof does not hold: %w", err)
	}
	r, err := audit.ParseLine(p.Line)
	if err == nil && r.Seq != p.Index+1 {
		err = fmt.Errorf("its seq is %d, at place %d", r.Seq, p.Index+1)
	}
	if err != nil {
		return fmt.Errorf("what is proven to be in the log is no call record: %w", err)
	}
	if q.output == asJSON {
		return writeJSON(a.out, proven{"ok", r.Seq, c.Origin, c.Size, string(p.Line)})
	}
	return writeFields(a.out, [][2]string{
		{"result", "ok: the record is in the log"},
		{"log", c.Origin},
		{"record", fmt.Sprintf("%d of %d that the checkpoint covers", r.Seq, c.Size)},
		{"line", string(p.Line)},
	})
}

// signedReport is a checked report as JSON.
type signedReport struct {
	Status     string   `json:"status"` // "ok"
	Connection string   `json:"connection"`
	Month      string   `json:"month"`
	Keys       []string `json:"keys"`
}

func (a *app) verifyReport(file string, q verifyRequest) error {
	page, err := a.readInput(file)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	trust, err := a.trustFor(q, "a report")
	if err != nil {
		return err
	}
	_, about, err := report.Open(page, func(note []byte) ([]byte, error) { return signer.Verify(note, trust.Verifiers()...) })
	if errors.Is(err, signer.ErrUnsigned) {
		return hint(fmt.Errorf("the report can't be checked: %w", err), keyHint)
	}
	if err != nil {
		return fmt.Errorf("the report is not what the gateway signed: %w", err)
	}
	if q.output == asJSON {
		return writeJSON(a.out, signedReport{"ok", about.Connection, about.Month, trust.Verifiers()})
	}
	return writeFields(a.out, [][2]string{
		{"result", "ok: the page is what the gateway signed"},
		{"connection", about.Connection},
		{"month", about.Month},
	})
}
