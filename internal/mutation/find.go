package mutation

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// find walks the file's functions and variables.
func (f *finder) find() {
	for _, d := range f.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f.function = d.Name.Name
			if d.Recv != nil {
				f.function = "(" + strings.TrimPrefix(f.text(d.Recv.List[0].Type), "*") + ")." + d.Name.Name
			}
			if d.Body != nil {
				f.walk(d.Body, []ast.Node{d})
			}
		case *ast.GenDecl:
			f.function = ""
			switch d.Tok {
			case token.CONST:
				f.limits(d)
			case token.VAR:
				f.walk(d, nil)
			}
		}
	}
}

// walk visits n and what is in it; above are the nodes around it, the nearest last.
func (f *finder) walk(n ast.Node, above []ast.Node) {
	ast.PreorderStack(n, above, func(n ast.Node, above []ast.Node) bool {
		var parent ast.Node
		if len(above) > 0 {
			parent = above[len(above)-1]
		}
		switch n := n.(type) {
		case *ast.GenDecl:
			if n.Tok == token.CONST {
				f.limits(n)
				return false
			}
			return n.Tok != token.TYPE
		case *ast.ArrayType, *ast.StructType, *ast.ImportSpec:
			return false // sizes and tags must be constants
		case *ast.BlockStmt:
			f.ending(n, parent)
		case *ast.SwitchStmt:
			f.cases(n, n.Body, n.Tag != nil, parent)
		case *ast.TypeSwitchStmt:
			f.cases(n, n.Body, true, parent)
		case *ast.ReturnStmt:
			f.results(n, above)
		case *ast.SliceExpr:
			for _, e := range []ast.Expr{n.Low, n.High} {
				if e != nil && f.isInt(e) && f.info.Types[e].Value == nil {
					f.add(e, "bound", f.text(e), f.text(e)+"+1", "(", ")+mutationStep(µ)")
				}
			}
		}
		if s, ok := n.(ast.Stmt); ok && isBody(parent) {
			f.statement(s, above)
		}
		if e, ok := n.(ast.Expr); ok {
			f.expression(e, above)
		}
		return true
	})
}

// isBody reports whether the statements right below n stand in a list.
func isBody(n ast.Node) bool {
	switch n.(type) {
	case *ast.BlockStmt, *ast.CaseClause:
		return true
	}
	return false
}

// ending lets a function whose last return was left out compile.
func (f *finder) ending(b *ast.BlockStmt, parent ast.Node) {
	var t *ast.FuncType
	switch p := parent.(type) {
	case *ast.FuncDecl:
		t = p.Type
	case *ast.FuncLit:
		t = p.Type
	}
	if t == nil || t.Results == nil {
		return
	}
	if n := len(b.List); n > 0 {
		last := b.List[n-1]
		f.fixed = append(f.fixed, site{f.offset(last.Pos()), f.offset(last.End()), "", `; panic("no return")`})
	}
}

// statement leaves s out, or jumps elsewhere.
func (f *finder) statement(s ast.Stmt, above []ast.Node) {
	const drop, end = "if !mutationOn(µ) { ", " }"
	switch s := s.(type) {
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt:
		f.add(s, "statement", f.text(s), "", drop, end)
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			f.add(s, "statement", f.text(s), "", drop, end)
		}
	case *ast.ReturnStmt:
		// Without the last of a function nothing is left to do.
		if body, ok := above[len(above)-1].(*ast.BlockStmt); ok && len(above) > 1 && body.List[len(body.List)-1] == s {
			switch above[len(above)-2].(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				return
			}
		}
		f.add(s, "statement", f.text(s), "", drop, end)
	case *ast.BranchStmt:
		if s.Tok != token.BREAK && s.Tok != token.CONTINUE {
			return
		}
		f.add(s, "jump", f.text(s), "", drop, end)
		if s.Label != nil || !inLoop(above) {
			return
		}
		other := token.BREAK
		if s.Tok == token.BREAK {
			other = token.CONTINUE
		}
		f.add(s, "jump", f.text(s), other.String(), "if mutationOn(µ) { "+other.String()+" } else { ", " }")
	}
}

func inLoop(above []ast.Node) bool {
	for _, n := range slices.Backward(above) {
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			return true
		case *ast.FuncLit, *ast.FuncDecl:
			return false
		}
	}
	return false
}

// cases leaves out the cases of a switch one by one, and where one has several
// values, each of these. Cases that are conditions are mutated as those.
func (f *finder) cases(s ast.Stmt, body *ast.BlockStmt, values bool, parent ast.Node) {
	if !isBody(parent) {
		return
	}
	unfit := false
	ast.Inspect(s, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.LabeledStmt:
			unfit = true
		case *ast.BranchStmt:
			unfit = unfit || n.Tok == token.FALLTHROUGH
		}
		return true
	})
	if unfit {
		return
	}
	whole, from := f.text(s), f.offset(s.Pos())
	without := func(n ast.Node, start, end int, what, after string) {
		f.add(s, "case", what, after, "if mutationOn(µ) { "+whole[:start-from]+whole[end-from:]+" } else { ", " }")
		f.mutants[len(f.mutants)-1].Line = f.fset.Position(n.Pos()).Line
	}
	for _, c := range body.List {
		c := c.(*ast.CaseClause)
		head := strings.TrimSpace(string(f.source[f.offset(c.Pos()):f.offset(c.Colon)]))
		if !values && c.List != nil {
			continue
		}
		if _, isType := s.(*ast.TypeSwitchStmt); isType && usesName(s.(*ast.TypeSwitchStmt)) == 1 {
			continue
		}
		without(c, f.offset(c.Pos()), f.offset(c.End()), head, "")
		for i, e := range c.List {
			if len(c.List) == 1 {
				break
			}
			start, end := f.offset(e.Pos()), f.offset(e.End())
			if i+1 < len(c.List) {
				end = f.offset(c.List[i+1].Pos())
			} else {
				start = f.offset(c.List[i-1].End())
			}
			without(e, start, end, head, "without "+f.text(e))
		}
	}
}

// usesName counts the cases of a type switch that use its variable: the compiler
// wants one at least.
func usesName(s *ast.TypeSwitchStmt) int {
	a, ok := s.Assign.(*ast.AssignStmt)
	if !ok {
		return 0
	}
	name, uses := a.Lhs[0].(*ast.Ident).Name, 0
	for _, c := range s.Body.List {
		used := false
		for _, b := range c.(*ast.CaseClause).Body {
			ast.Inspect(b, func(n ast.Node) bool {
				i, ok := n.(*ast.Ident)
				used = used || ok && i.Name == name
				return true
			})
		}
		if used {
			uses++
		}
	}
	return uses
}

// results returns nothing in the place of something.
func (f *finder) results(r *ast.ReturnStmt, above []ast.Node) {
	signature := f.signature(above)
	if signature == nil || signature.Results().Len() != len(r.Results) {
		return
	}
	for i, e := range r.Results {
		v := f.info.Types[e]
		want := signature.Results().At(i).Type()
		name, ok := f.typeName(want)
		if !ok || v.IsNil() || isBool(want) || v.Value != nil && isZero(v.Value) {
			continue
		}
		if lit, ok := e.(*ast.CompositeLit); ok && len(lit.Elts) == 0 {
			continue
		}
		if _, isFunc := e.(*ast.FuncLit); isFunc {
			continue
		}
		name = "[" + name + "]"
		if v.Value == nil && types.Identical(v.Type, want) {
			name = "" // inferred; it may mean something else here
		}
		f.add(e, "result", "return "+f.text(e), "zero", "mutationZero"+name+"(µ, ", ")")
	}
}

func isZero(v constant.Value) bool {
	switch v.Kind() {
	case constant.String:
		return constant.StringVal(v) == ""
	case constant.Int:
		return constant.Sign(v) == 0
	case constant.Bool:
		return !constant.BoolVal(v)
	}
	return false
}

func (f *finder) signature(above []ast.Node) *types.Signature {
	for _, n := range slices.Backward(above) {
		switch n := n.(type) {
		case *ast.FuncLit:
			return f.info.TypeOf(n).(*types.Signature)
		case *ast.FuncDecl:
			return f.info.ObjectOf(n.Name).Type().(*types.Signature)
		}
	}
	return nil
}

// limits changes the numbers of constants, for which the compiler needs a program
// each.
func (f *finder) limits(d *ast.GenDecl) {
	for _, s := range d.Specs {
		s := s.(*ast.ValueSpec)
		for i, e := range s.Values {
			if v := f.info.Types[e]; v.Value == nil || v.Value.Kind() != constant.Int || f.text(e) == "iota" {
				continue
			}
			for _, by := range []string{"+1", "-1"} {
				m := f.add(e, "limit", s.Names[i].Name+" = "+f.text(e), f.text(e)+by, "("+f.text(e)+")"+by, "")
				m.constant = true
			}
		}
	}
}

func isBool(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

func (f *finder) isInt(e ast.Expr) bool {
	t := f.info.TypeOf(e)
	return t != nil && types.Identical(t, types.Typ[types.Int])
}

// pick notes a fault that puts another constant in the place of e.
func (f *finder) pick(e ast.Expr, kind, after string) {
	if name, ok := f.typeName(f.info.TypeOf(e)); ok {
		f.add(e, kind, f.text(e), after, fmt.Sprintf("mutationPick[%s](µ, %s, ", name, after), ")")
	}
}

// literal changes numbers, characters and words.
func (f *finder) literal(e *ast.BasicLit, above []ast.Node) {
	parent := above[len(above)-1]
	switch e.Kind {
	case token.INT, token.CHAR:
		b, ok := f.info.TypeOf(e).Underlying().(*types.Basic)
		if call, isCall := parent.(*ast.CallExpr); !ok || isCall && capacity(call, e) {
			return
		}
		f.pick(e, "number", f.text(e)+"+1")
		if v := f.info.Types[e].Value; b.Info()&types.IsUnsigned == 0 || constant.Sign(v) > 0 {
			f.pick(e, "number", f.text(e)+"-1")
		}
	case token.STRING:
		s, err := strconv.Unquote(e.Value)
		if err != nil || s == "" {
			return
		}
		switch p := parent.(type) {
		case *ast.BinaryExpr:
			if p.Op == token.EQL || p.Op == token.NEQ {
				f.pick(e, "word", strconv.Quote(s+"x"))
			}
		case *ast.CaseClause:
			f.pick(e, "word", strconv.Quote(s+"x"))
		case *ast.CallExpr:
			called, _ := p.Fun.(*ast.SelectorExpr)
			if called == nil || !slices.Contains([]string{"strings.", "slices.", "bytes."}, strings.TrimSuffix(f.text(called), called.Sel.Name)) {
				return
			}
			switch called.Sel.Name {
			case "IndexByte", "IndexAny", "ContainsAny", "Trim":
				for i := range len(s) {
					f.pick(e, "word", strconv.Quote(s[:i]+s[i+1:]))
				}
			case "Join":
			default:
				f.pick(e, "word", strconv.Quote(s+"x"))
			}
		}
	}
}

// capacity reports whether e says how much memory to set aside, which nobody can
// notice.
func capacity(call *ast.CallExpr, e ast.Expr) bool {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name == "make" && len(call.Args) == 3 && call.Args[2] == e
	case *ast.SelectorExpr:
		return fun.Sel.Name == "Grow"
	}
	return false
}
