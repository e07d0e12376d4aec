package policy

import "slices"

// OperationsFor lists the operations of an edition in catalogue order, each Enabled
// as it is for a connection: a rule that is enforced for every client of the
// connection, and without regard to projects, switches its operations off. The list
// is a copy.
func (p *Policy) OperationsFor(connection string, e Edition) []Operation {
	var list []Operation
	for _, o := range p.operations {
		if o.Edition != e {
			continue
		}
		c := o.clone()
		c.Enabled = c.Enabled && !slices.ContainsFunc(p.rules, func(ru rule) bool {
			return ru.mode == ModeEnforce && ru.clients == nil && ru.denied != nil && ru.denied[o.id] &&
				(ru.connections == nil || slices.Contains(ru.connections, connection))
		})
		list = append(list, c)
	}
	return list
}
