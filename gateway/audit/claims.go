package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jiragate/gateway/audit/checkpoint"
)

// claim is what a trusted key has said of the log.
type claim struct {
	name   string // where it stands
	origin string // the name of the log
	size   uint64
	root   hash
	signed []byte
}

// readClaims reads the checkpoints in dir and those from elsewhere, by size.
func readClaims(dir string, o VerifyOptions) ([]claim, error) {
	if o.Trust == nil {
		return nil, nil
	}
	if err := Learn(dir, o.Trust); err != nil {
		return nil, err
	}
	names, err := checkpointNames(dir)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(o.Checkpoints)
	for _, name := range names {
		signed, err := readSmall(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // retention has just removed it
		}
		if err != nil {
			return nil, fmt.Errorf("read a checkpoint: %w", err)
		}
		all = append(all, Elsewhere{name, signed})
	}
	var claims []claim
	for _, e := range all {
		c, err := o.Trust.Open(e.Signed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		claims = append(claims, claim{e.Name, c.Origin, c.Size, c.Root, e.Signed})
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.size, b.size) })
	return claims, nil
}

// Learn adds the keys that trusted ones have endorsed to trust, as the successions in
// dir tell. A key that nobody trusted has endorsed is passed over: what it has signed
// will not be believed.
func Learn(dir string, trust *checkpoint.Trust) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the audit log: %w", err)
	}
	for _, e := range entries { // by name, hence by age
		if !strings.HasSuffix(e.Name(), successionSuffix) {
			continue
		}
		signed, err := readSmall(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read a succession of the signing key: %w", err)
		}
		if _, _, err := trust.Learn(signed); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	return nil
}
