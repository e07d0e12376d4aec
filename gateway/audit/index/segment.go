package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jiragate/gateway/audit"
)

// errUnknown: the index does not have the segment as it is.
var errUnknown = errors.New("the segment is not indexed")

// segment is a segment as the index has it.
type segment struct {
	head
	id    int64
	place place
}

// findSegment reads the entry of a segment, and compares it with the file.
func findSegment(ctx context.Context, tx *sql.Tx, dir, name string) (segment, error) {
	s := segment{place: place{segment: name}}
	var length sql.NullInt64
	var blob []byte
	err := tx.QueryRowContext(ctx, "SELECT id, size, length, blocks FROM segment WHERE name = ?", name).
		Scan(&s.id, &s.place.size, &length, &blob)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !length.Valid && blob == nil {
		return s, errUnknown
	}
	if err != nil {
		return s, err
	}
	s.place.length = length.Int64
	content, err := s.place.unseal("blocks", blob)
	if err != nil {
		return s, err
	}
	if s.head, err = decodeHead(content); err != nil {
		return s, err
	}
	info := audit.SegmentInfo{Name: name}
	file, err := os.Lstat(filepath.Join(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist): // compressed, or removed meanwhile
		info.Compressed = true
	case err != nil:
		return s, errUnknown // reading it says why
	default:
		info.Size = file.Size()
	}
	if e := (entry{size: s.place.size, length: length}); !e.fits(info) {
		return s, errUnknown
	}
	return s, nil
}

// counts gives for each block how many of its records have a wanted value in the field.
func (s *segment) counts(ctx context.Context, tx *sql.Tx, field string, wanted func(value []byte) bool) ([]int, error) {
	var blob []byte
	err := tx.QueryRowContext(ctx, "SELECT postings FROM term WHERE segment = ? AND field = ?", s.id, field).Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: segment %s has no %s", errDamaged, s.place.segment, field)
	}
	if err != nil {
		return nil, err
	}
	content, err := s.place.unseal(field, blob)
	if err != nil {
		return nil, err
	}
	return findPostings(content, wanted, len(s.blocks))
}

// narrowText strikes out the blocks whose filter lacks one of the hashes.
func (s *segment) narrowText(ctx context.Context, tx *sql.Tx, hashes []uint64, list []candidate) error {
	if s.rows == 0 || len(hashes) == 0 || !slices.ContainsFunc(list, func(c candidate) bool { return c.possible }) {
		return nil
	}
	l := newLayout(len(s.blocks), s.rows)
	if l.rows == 0 {
		return nil
	}
	var rows []int
	for _, h := range hashes {
		a, b := positions(h)
		rows = append(rows, a%l.rows, b%l.rows)
	}
	parts, err := s.parts(ctx, tx, l, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		for n := range list {
			part, bit := l.bit(row, n)
			if parts[part][bit/8]>>(bit%8)&1 == 0 {
				list[n].possible = false
			}
		}
	}
	return nil
}

// parts reads the parts of the filter that have the rows.
func (s *segment) parts(ctx context.Context, tx *sql.Tx, l layout, rows []int) (map[int][]byte, error) {
	parts := map[int][]byte{}
	var ids []any
	for _, row := range rows {
		part, _ := l.bit(row, 0)
		if _, ok := parts[part]; !ok {
			parts[part] = nil
			ids = append(ids, s.id<<16|int64(part))
		}
	}
	found, err := tx.QueryContext(ctx, "SELECT id & 65535, bits FROM gram WHERE id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", ids...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var part int
		var blob []byte
		if err := found.Scan(&part, &blob); err != nil {
			return nil, err
		}
		if parts[part], err = s.place.unseal(partName(part), blob); err != nil {
			return nil, err
		}
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	for part, bits := range parts {
		if len(bits) != l.partSize(part) {
			return nil, fmt.Errorf("%w: %s of segment %s", errDamaged, partName(part), s.place.segment)
		}
	}
	return parts, nil
}
