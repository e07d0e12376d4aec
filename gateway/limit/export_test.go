package limit

// Names is how many are kept in mind.
func (p *Places) Names() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.holders)
}

// Known is how many are kept in mind for having succeeded.
func (g *Guesses) Known() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.known)
}
