package policy

// Policy is the catalogue of documented operations, narrowed by the operator's
// rules. It never changes after it was made and may be used from many
// goroutines.
type Policy struct {
	version    string
	sha256     string
	catalogue  string // as it was read
	rulesText  string // the operator's file as it was read; empty if there is none
	ids        []string
	operations []*operation // catalogue order
	cloud      *table
	dataCenter *table
	rules      []rule
}

// Default returns the embedded catalogue without narrowing. It compiles it anew
// on each call.
func Default() *Policy {
	p, err := New(nil)
	if err != nil {
		// The catalogue is part of the program; TestDefault compiles it.
		panic(err)
	}
	return p
}

// New returns the embedded catalogue, narrowed by rules: the text of an
// operator's policy file, as the package comment shows it. Nil means no rules;
// an empty file is an error, since it may be one that was cut off. Errors are
// [*DocumentError].
func New(rules []byte) (*Policy, error) {
	return build([]byte(embeddedCatalogue), rules)
}

func build(catalogue, rules []byte) (*Policy, error) {
	c, err := readCatalogue(catalogue)
	if err != nil {
		return nil, err
	}
	p := &Policy{version: c.version, ids: c.ids, catalogue: string(catalogue), rulesText: string(rules)}
	if p.operations, p.cloud, p.dataCenter, err = compile(c); err != nil {
		return nil, err
	}
	if rules != nil {
		if err := p.addRules(rules); err != nil {
			return nil, err
		}
	}
	for _, o := range p.operations {
		o.Enabled = o.on && !p.deniedToAll(o)
	}
	p.sha256 = hashOf(p.Archive())
	return p, nil
}

// SHA256 identifies catalogue and rules: the hash of both texts, each preceded
// by its length in eight bytes, in lower case hexadecimal.
func (p *Policy) SHA256() string { return p.sha256 }

// Version is the version of the catalogue, as it stands in the file.
func (p *Policy) Version() string { return p.version }

// Operations lists every operation of both editions, enabled or not, in
// catalogue order. The list is a copy.
func (p *Policy) Operations() []Operation {
	list := make([]Operation, len(p.operations))
	for i, o := range p.operations {
		list[i] = o.clone()
	}
	return list
}

func (p *Policy) table(e Edition) *table {
	switch e {
	case Cloud:
		return p.cloud
	case DataCenter:
		return p.dataCenter
	}
	return nil
}
