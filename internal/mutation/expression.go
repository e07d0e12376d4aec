package mutation

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
)

// expression notes the faults of e itself.
func (f *finder) expression(e ast.Expr, above []ast.Node) {
	if len(above) == 0 {
		return
	}
	parent := above[len(above)-1]
	v := f.info.Types[e]
	if id, ok := e.(*ast.Ident); ok {
		f.otherConstant(id, above)
	}
	if lit, ok := e.(*ast.BasicLit); ok {
		f.literal(lit, above)
		return
	}
	if !v.IsValue() || v.Type == nil {
		return
	}
	if !isBool(v.Type) {
		f.arithmetic(e)
		return
	}
	if v.Value != nil {
		if id, ok := e.(*ast.Ident); ok && isCondition(e, parent) {
			f.pick(e, "condition", map[string]string{"true": "false", "false": "true"}[id.Name])
		}
		return
	}
	text := f.text(e)
	always := func(kind, to string) {
		f.add(e, kind, text, to, map[string]string{
			"true":  "(mutationOn(µ) || (",
			"false": "(!mutationOn(µ) && (",
		}[to], "))")
	}
	other := func(kind, after string) {
		f.add(e, kind, text, after, fmt.Sprintf("(mutationOn(µ) && (%s) || !mutationIs(µ) && (", after), "))")
	}
	if isCondition(e, parent) {
		always("condition", "true")
		always("condition", "false")
	}
	if p, ok := parent.(*ast.BinaryExpr); ok {
		if own, same := e.(*ast.BinaryExpr); !same || own.Op != p.Op {
			switch p.Op {
			case token.LAND:
				always("operand", "true")
			case token.LOR:
				always("operand", "false")
			}
		}
	}
	b, ok := e.(*ast.BinaryExpr)
	if !ok {
		return
	}
	swap := map[token.Token]token.Token{
		token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
		token.LAND: token.LOR, token.LOR: token.LAND,
	}
	to, ok := swap[b.Op]
	if !ok {
		return
	}
	kind := "boundary"
	if b.Op == token.LAND || b.Op == token.LOR {
		kind = "logic"
	}
	other(kind, fmt.Sprintf("%s %s %s", f.text(b.X), to, f.text(b.Y)))
}

// isCondition reports whether e, which is a bool, stands for itself below parent.
func isCondition(e ast.Expr, parent ast.Node) bool {
	switch p := parent.(type) {
	case *ast.IfStmt, *ast.ForStmt, *ast.CaseClause, *ast.ReturnStmt, *ast.CompositeLit:
		return true
	case *ast.KeyValueExpr:
		return p.Value == e
	case *ast.CallExpr:
		return p.Fun != e
	case *ast.AssignStmt:
		for _, r := range p.Rhs {
			if r == e {
				return len(p.Lhs) == len(p.Rhs)
			}
		}
	}
	return false
}

// arithmetic turns operators round. Both results are computed, so there may be no
// call in them.
func (f *finder) arithmetic(e ast.Expr) {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || f.info.Types[e].Value != nil {
		return
	}
	if basic, ok := f.info.TypeOf(e).Underlying().(*types.Basic); !ok || basic.Info()&types.IsInteger == 0 {
		return
	}
	to, ok := map[token.Token]token.Token{
		token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.ADD, token.SHL: token.SHR, token.SHR: token.SHL, token.AND: token.OR, token.OR: token.AND,
	}[b.Op]
	pure := true
	ast.Inspect(e, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			fun, isName := call.Fun.(*ast.Ident)
			pure = pure && isName && (fun.Name == "len" || fun.Name == "cap")
		}
		return true
	})
	if ok && pure {
		f.pick(e, "arithmetic", fmt.Sprintf("%s %s %s", f.text(b.X), to, f.text(b.Y)))
	}
}

// otherConstant puts the next constant of the same type of the package in the place
// of one.
func (f *finder) otherConstant(id *ast.Ident, above []ast.Node) {
	c, ok := f.info.Uses[id].(*types.Const)
	if !ok || c.Pkg() != f.pkg || c.Parent() != f.pkg.Scope() {
		return
	}
	named, ok := c.Type().(*types.Named)
	if !ok || named.Obj().Pkg() != f.pkg {
		return
	}
	if _, ok := above[len(above)-1].(*ast.KeyValueExpr); ok && above[len(above)-1].(*ast.KeyValueExpr).Key == id {
		return
	}
	var next, first *types.Const
	for _, name := range f.pkg.Scope().Names() {
		o, ok := f.pkg.Scope().Lookup(name).(*types.Const)
		if !ok || !types.Identical(o.Type(), c.Type()) || o == c {
			continue
		}
		if first == nil || o.Pos() < first.Pos() {
			first = o
		}
		if o.Pos() > c.Pos() && (next == nil || o.Pos() < next.Pos()) {
			next = o
		}
	}
	if next == nil {
		next = first
	}
	if next != nil {
		f.pick(id, "constant", next.Name())
	}
}
