package audit

import "sync"

// draft is where the lines of a call are made: that of its intent, and what of its
// record is known before its place in the log. A record needs it from its Begin on
// until it is written.
type draft struct {
	intent Record // canonical
	line   []byte // of intent, with the newline
	asked  int    // what [appendAsked] made ends here in line
	body   []byte // see [appendBody]
	entry  entry  // of body, in the chain
}

// intentStart begins the line of an intent, which has no place in the log.
const intentStart = `{"seq":0`

// begin makes the line of an intent, and r canonical.
func (d *draft) begin(r *Record) {
	d.line = appendAsked(append(d.line[:0], intentStart...), r)
	d.asked = len(d.line)
	d.line = append(appendPrev(appendOutcome(d.line, r), ""), '\n')
	d.intent = *r
}

// finish makes the body of the record r of the call that began, and r canonical. The
// ID and the time must be those of the intent. What is as it was is not made again.
func (d *draft) finish(r *Record) []byte {
	if !d.intent.asksSame(r) {
		return d.make(r)
	}
	r.QueryNames = d.intent.QueryNames // a copy already
	d.body = append(d.body[:0], d.line[len(intentStart):d.asked]...)
	d.body = appendOutcome(d.body, r)
	return d.body
}

// make makes the body of a record without an intent, and r canonical.
func (d *draft) make(r *Record) []byte {
	d.body = appendBody(d.body[:0], r)
	return d.body
}

// maxDraft is how long a line may have been, in bytes, that its memory is used again.
// Nearly all are shorter, and a client that sends long texts must not fill the memory.
const maxDraft = 4 * usualLine

// drafts are those that no record needs any more.
type drafts struct{ pool sync.Pool }

func (p *drafts) get() *draft {
	if d, ok := p.pool.Get().(*draft); ok {
		return d
	}
	return &draft{line: make([]byte, 0, usualLine), body: make([]byte, 0, usualLine)}
}

func (p *drafts) put(d *draft) {
	if cap(d.line) > maxDraft || cap(d.body) > maxDraft {
		return
	}
	d.intent, d.entry = Record{}, entry{} // their texts may be parts of something large, files closed
	p.pool.Put(d)
}
