// Package terraform_test reads the Terraform beside it as Terraform would, as far as
// that goes without AWS: it parses, resolves every name, checks types, and evaluates
// what would be sent to AWS and to the machine. The schema of AWS's resources, which
// only the provider has, it does not know. README.md says what was checked by hand.
package terraform_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// dirs are the modules: the root, and the two that it uses.
var dirs = []string{".", "region", "checkpoints"}

// module is what stands in the files of one directory.
type module struct {
	dir       string
	variables map[string]*hclsyntax.Block
	locals    map[string]hclsyntax.Expression
	resources map[string]*hclsyntax.Block // by TYPE.NAME; data sources by data.TYPE.NAME
	modules   map[string]*hclsyntax.Block
	outputs   map[string]*hclsyntax.Block
	bodies    []*hclsyntax.Body // of whole files
}

func load(t *testing.T, dir string) *module {
	t.Helper()
	m := &module{
		dir:       dir,
		variables: map[string]*hclsyntax.Block{},
		locals:    map[string]hclsyntax.Expression{},
		resources: map[string]*hclsyntax.Block{},
		modules:   map[string]*hclsyntax.Block{},
		outputs:   map[string]*hclsyntax.Block{},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Terraform in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		body := f.Body.(*hclsyntax.Body)
		m.bodies = append(m.bodies, body)
		for _, b := range body.Blocks {
			m.declare(t, b)
		}
	}
	return m
}

func (m *module) declare(t *testing.T, b *hclsyntax.Block) {
	t.Helper()
	put := func(in map[string]*hclsyntax.Block, name string) {
		if in[name] != nil {
			t.Errorf("%s: %s is declared twice", b.DefRange(), name)
		}
		in[name] = b
	}
	switch b.Type {
	case "variable":
		put(m.variables, b.Labels[0])
	case "locals":
		for name, a := range b.Body.Attributes {
			if m.locals[name] != nil {
				t.Errorf("%s: local %s is declared twice", a.Range(), name)
			}
			m.locals[name] = a.Expr
		}
	case "resource":
		put(m.resources, strings.Join(b.Labels, "."))
	case "data":
		put(m.resources, "data."+strings.Join(b.Labels, "."))
	case "module":
		put(m.modules, b.Labels[0])
	case "output":
		put(m.outputs, b.Labels[0])
	case "terraform", "provider":
	default:
		t.Errorf("%s: a block %q is unknown", b.DefRange(), b.Type)
	}
}

// scope evaluates the module with the inputs given. What only AWS knows comes from
// facts, by TYPE.NAME or data.TYPE.NAME.
func (m *module) scope(t *testing.T, inputs, facts map[string]cty.Value) *hcl.EvalContext {
	t.Helper()
	ctx := &hcl.EvalContext{
		Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(m.dir)})},
		Functions: functions(),
	}
	vars := map[string]cty.Value{}
	for name, b := range m.variables {
		v, err := input(b, inputs[name])
		if err != nil {
			t.Fatalf("%s: variable %s: %v", m.dir, name, err)
		}
		vars[name] = v
	}
	for name := range inputs {
		if m.variables[name] == nil {
			t.Fatalf("%s has no variable %s", m.dir, name)
		}
	}
	ctx.Variables["var"] = cty.ObjectVal(vars)
	m.addFacts(t, ctx, facts)
	m.addLocals(t, ctx)
	return ctx
}

func (m *module) addFacts(t *testing.T, ctx *hcl.EvalContext, facts map[string]cty.Value) {
	t.Helper()
	types, data := map[string]map[string]cty.Value{}, map[string]map[string]cty.Value{}
	for address, v := range facts {
		if m.resources[address] == nil {
			t.Fatalf("%s has no %s", m.dir, address)
		}
		in := types
		if rest, ok := strings.CutPrefix(address, "data."); ok {
			in, address = data, rest
		}
		kind, name, _ := strings.Cut(address, ".")
		if in[kind] == nil {
			in[kind] = map[string]cty.Value{}
		}
		in[kind][name] = v
	}
	for kind, names := range types {
		ctx.Variables[kind] = cty.ObjectVal(names)
	}
	kinds := map[string]cty.Value{}
	for kind, names := range data {
		kinds[kind] = cty.ObjectVal(names)
	}
	ctx.Variables["data"] = cty.ObjectVal(kinds)
}

// addLocals evaluates the locals in the order in which they need each other.
func (m *module) addLocals(t *testing.T, ctx *hcl.EvalContext) {
	t.Helper()
	known := map[string]cty.Value{}
	ctx.Variables["local"] = cty.EmptyObjectVal
	for len(known) < len(m.locals) {
		before := len(known)
		for name, expr := range m.locals {
			if _, ok := known[name]; ok || !ready(expr, known) {
				continue
			}
			known[name] = value(t, expr, ctx)
			ctx.Variables["local"] = cty.ObjectVal(maps.Clone(known))
		}
		if len(known) == before {
			t.Fatalf("%s: locals need each other in a circle: all but %v", m.dir, slices.Sorted(maps.Keys(known)))
		}
	}
}

func ready(expr hclsyntax.Expression, known map[string]cty.Value) bool {
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" {
			continue
		}
		if _, ok := known[step(traversal, 1)]; !ok {
			return false
		}
	}
	return true
}

func value(t *testing.T, expr hclsyntax.Expression, ctx *hcl.EvalContext) cty.Value {
	t.Helper()
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return v
}

// input returns what a variable is when given is passed for it, cty.NilVal for nothing,
// or the error that Terraform would end with.
func input(b *hclsyntax.Block, given cty.Value) (cty.Value, error) {
	kind, defaults, diags := typeexpr.TypeConstraintWithDefaults(b.Body.Attributes["type"].Expr)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	if given == cty.NilVal {
		a := b.Body.Attributes["default"]
		if a == nil {
			return cty.NilVal, errMissing
		}
		if given, diags = a.Expr.Value(&hcl.EvalContext{Functions: functions()}); diags.HasErrors() {
			return cty.NilVal, diags
		}
	}
	if defaults != nil && !given.IsNull() {
		given = defaults.Apply(given)
	}
	v, err := convert.Convert(given, kind)
	if err != nil {
		return cty.NilVal, err
	}
	ctx := &hcl.EvalContext{
		Functions: functions(),
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{b.Labels[0]: v})},
	}
	for _, rule := range b.Body.Blocks {
		ok, diags := rule.Body.Attributes["condition"].Expr.Value(ctx)
		if diags.HasErrors() {
			return cty.NilVal, diags
		}
		if ok.False() {
			message, _ := rule.Body.Attributes["error_message"].Expr.Value(ctx)
			return cty.NilVal, refusal(message.AsString())
		}
	}
	return v, nil
}

// instance is one thing that would be made: a resource's arguments with their values,
// and its blocks.
type instance struct {
	name   string // TYPE.NAME, and a key in brackets
	args   map[string]cty.Value
	blocks map[string]instance
}

func (i instance) text(arg string) string { return text(i.args[arg]) }

// text is v in words; nothing for what is not given.
func text(v cty.Value) string {
	if v == cty.NilVal {
		return ""
	}
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() {
		return ""
	}
	return s.AsString()
}

// made returns the instances of a resource, by its count or for_each.
func (m *module) made(t *testing.T, ctx *hcl.EvalContext, address string) []instance {
	t.Helper()
	b := m.resources[address]
	if b == nil {
		t.Fatalf("%s has no %s", m.dir, address)
	}
	each := func(key string, v map[string]cty.Value) instance {
		child := ctx.NewChild()
		child.Variables = v
		i := evaluate(t, b.Body, child)
		i.name = address + key
		return i
	}
	var list []instance
	switch {
	case b.Body.Attributes["count"] != nil:
		n, _ := value(t, b.Body.Attributes["count"].Expr, ctx).AsBigFloat().Int64()
		for k := range n {
			at := map[string]cty.Value{"count": cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(k)})}
			list = append(list, each("["+text(cty.NumberIntVal(k))+"]", at))
		}
	case b.Body.Attributes["for_each"] != nil:
		for _, v := range value(t, b.Body.Attributes["for_each"].Expr, ctx).AsValueSlice() { // a set
			at := map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": v, "value": v})}
			list = append(list, each("["+text(v)+"]", at))
		}
	default:
		list = append(list, each("", nil))
	}
	return list
}

func evaluate(t *testing.T, body *hclsyntax.Body, ctx *hcl.EvalContext) instance {
	t.Helper()
	i := instance{args: map[string]cty.Value{}, blocks: map[string]instance{}}
	for name, a := range body.Attributes {
		switch name {
		case "count", "for_each", "depends_on", "ignore_changes", "providers": // names, not values
		default:
			i.args[name] = value(t, a.Expr, ctx)
		}
	}
	for _, b := range body.Blocks {
		i.blocks[b.Type] = evaluate(t, b.Body, ctx)
	}
	return i
}
