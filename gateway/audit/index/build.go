package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"jiragate/gateway/audit"
)

// fields are those that a filter compares, by the name that they have in the log.
var fields = [...]string{"connection", "client", "operation", "decision", "code", "status"}

// valuesOf are those of a record, in the order of fields. Empty ones are not asked for.
func valuesOf(connection, client, operation, decision, code string, status int) [len(fields)]string {
	text := ""
	if status != 0 {
		text = strconv.Itoa(status)
	}
	return [len(fields)]string{connection, client, operation, decision, code, text}
}

// texts are those in which [audit.Filter.Text] is looked for and that can be as long
// as a window.
func texts(r *audit.Record) [16]string {
	return [16]string{
		r.ID, r.TraceID, r.Path, r.Client, r.ClientAddr, r.Connection, r.Edition, r.Region, r.Method, r.Operation,
		r.Decision, r.Code, r.PolicySHA256, r.Credential, r.EgressIP, r.UpstreamAddr,
	}
}

// builder makes the entry of one segment.
type builder struct {
	info    audit.SegmentInfo
	usable  bool // the segment could be read from end to end
	records int64
	head    head
	values  [len(fields)]map[string]*posting
	filters []*filter
	before  [16]string // texts of the record before
}

// build reads a segment.
func build(ctx context.Context, dir string, info audit.SegmentInfo) (*builder, error) {
	b := &builder{info: info}
	for i := range b.values {
		b.values[i] = map[string]*posting{}
	}
	for k, entries := range audit.Blocks(dir, info.Name) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := b.block(block{Block: k}, entries); err != nil {
			if _, system := errors.AsType[*fs.PathError](err); system {
				return nil, err
			}
			return b, nil // it is the segment that is at fault
		}
	}
	b.usable = info.Compressed || b.head.length() == info.Size
	return b, nil
}

// block takes a block in. Its error is that of the segment as a whole.
func (b *builder) block(k block, entries func(func(audit.Entry, error) bool)) error {
	number := len(b.head.blocks)
	counts := [len(fields)]map[string]int{}
	for i := range counts {
		counts[i] = map[string]int{}
	}
	f := new(filter)
	b.before = [16]string{}
	for e, err := range entries {
		if err != nil {
			if e.Line == 0 {
				return err
			}
			k.damaged = true
			continue
		}
		r := &e.Record
		if k.records == 0 || r.Time.Before(k.from) {
			k.from = r.Time
		}
		if k.records == 0 || r.Time.After(k.to) {
			k.to = r.Time
		}
		k.records++
		k.last = r.Seq
		for i, v := range valuesOf(r.Connection, r.Client, r.Operation, r.Decision, r.Code, r.Status) {
			if v != "" {
				counts[i][v]++
			}
		}
		b.addTexts(f, r)
	}
	for i := range counts {
		for v, n := range counts[i] {
			p := b.values[i][v]
			if p == nil {
				p = new(posting)
				b.values[i][strings.Clone(v)] = p // v is a part of its line
			}
			p.add(number, n)
		}
	}
	b.records += int64(k.records)
	b.head.blocks = append(b.head.blocks, k)
	b.filters = append(b.filters, f)
	return nil
}

func (b *builder) addTexts(f *filter, r *audit.Record) {
	now := texts(r)
	for i, s := range now {
		if s != b.before[i] { // many are the same in record after record
			f.add(s)
		}
	}
	b.before = now
	for _, s := range r.QueryNames {
		f.add(s)
	}
}

// store writes the entry.
func (b *builder) store(ctx context.Context, tx *sql.Tx) error {
	if !b.usable {
		_, err := tx.ExecContext(ctx, "INSERT INTO segment (name, size) VALUES (?, ?)", b.info.Name, b.info.Size)
		return err
	}
	at := place{b.info.Name, b.info.Size, b.head.length()}
	rows := fold(b.filters)
	b.head.rows = rows.rows
	result, err := tx.ExecContext(ctx, "INSERT INTO segment (name, size, length, blocks) VALUES (?, ?, ?, ?)",
		at.segment, at.size, at.length, at.seal("blocks", b.head.encode()))
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if id > math.MaxInt64>>16 {
		return fmt.Errorf("%w: it has counted too far", errDamaged)
	}
	for i, name := range fields {
		if _, err := tx.ExecContext(ctx, "INSERT INTO term (segment, field, postings) VALUES (?, ?, ?)",
			id, name, at.seal(name, encodePostings(b.values[i]))); err != nil {
			return err
		}
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO gram (id, bits) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for part, bits := range rows.transpose(b.filters) {
		if _, err := insert.ExecContext(ctx, id<<16|int64(part), at.seal(partName(part), bits)); err != nil {
			return err
		}
	}
	return nil
}

func partName(part int) string { return "part " + strconv.Itoa(part) }
