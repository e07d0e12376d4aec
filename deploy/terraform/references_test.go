package terraform_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// What `terraform fmt -check -recursive` would say.
func TestFormatted(t *testing.T) {
	n := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" && !strings.HasSuffix(path, ".tfvars.example") {
			return err
		}
		n++
		text, err := os.ReadFile(path)
		if !bytes.Equal(text, hclwrite.Format(text)) {
			t.Errorf("%s is not formatted: terraform fmt -recursive", path)
		}
		return err
	})
	if err != nil || n < 10 {
		t.Fatalf("%d files, %v", n, err)
	}
}

// traversals calls each with every name that an expression below body refers to, but
// for those that a for expression or a dynamic block declares.
func traversals(body *hclsyntax.Body, declared map[string]bool, each func(hcl.Traversal)) {
	for name, a := range body.Attributes {
		if name == "providers" || name == "ignore_changes" || name == "type" {
			continue
		}
		for _, traversal := range a.Expr.Variables() {
			if !declared[traversal.RootName()] {
				each(traversal)
			}
		}
	}
	for _, b := range body.Blocks {
		inner := declared
		if b.Type == "dynamic" {
			inner = map[string]bool{b.Labels[0]: true}
			maps.Copy(inner, declared)
		}
		traversals(b.Body, inner, each)
	}
}

func step(traversal hcl.Traversal, n int) string {
	if n >= len(traversal) {
		return ""
	}
	a, _ := traversal[n].(hcl.TraverseAttr)
	return a.Name
}

// Every name means something, and everything that is declared is used.
func TestReferences(t *testing.T) {
	for _, dir := range dirs {
		m := load(t, dir)
		unused := m.declared()
		see := func(traversal hcl.Traversal) {
			address := m.resolve(t, traversal)
			if address == "" {
				t.Errorf("%s: nothing of that name is declared", traversal.SourceRange())
			}
			delete(unused, address)
		}
		for _, body := range m.bodies {
			for _, b := range body.Blocks {
				if b.Type != "variable" {
					traversals(b.Body, nil, see)
					continue
				}
				traversals(b.Body, nil, func(traversal hcl.Traversal) { // in a validation, which is no use
					if traversal.RootName() != "var" || step(traversal, 1) != b.Labels[0] {
						t.Errorf("%s: a validation of %s looks at something else", traversal.SourceRange(), b.Labels[0])
					}
				})
			}
		}
		if len(unused) > 0 {
			t.Errorf("%s: not used: %v", dir, slices.Sorted(maps.Keys(unused)))
		}
	}
}

// declared is what is for nothing if it is not used.
func (m *module) declared() map[string]bool {
	list := map[string]bool{}
	for name := range m.variables {
		list["var."+name] = true
	}
	for name := range m.locals {
		list["local."+name] = true
	}
	for address := range m.resources {
		if strings.HasPrefix(address, "data.") {
			list[address] = true
		}
	}
	return list
}

// resolve returns the address of what is meant, or nothing.
func (m *module) resolve(t *testing.T, traversal hcl.Traversal) string {
	t.Helper()
	root, name := traversal.RootName(), step(traversal, 1)
	address, ok := root+"."+name, false
	switch root {
	case "var":
		ok = m.variables[name] != nil
	case "local":
		ok = m.locals[name] != nil
	case "module":
		call := m.modules[name]
		ok = call != nil && load(t, source(t, call)).outputs[step(traversal, 2)] != nil
	case "data":
		address += "." + step(traversal, 2)
		ok = m.resources[address] != nil
	case "path":
		ok = name == "module"
	case "each":
		ok = name == "key" || name == "value"
	case "count":
		ok = name == "index"
	default:
		ok = m.resources[address] != nil
	}
	if !ok {
		return ""
	}
	return address
}

func source(t *testing.T, call *hclsyntax.Block) string {
	t.Helper()
	return filepath.Clean(value(t, call.Body.Attributes["source"].Expr, nil).AsString())
}

// A module's inputs are exactly its variables, and it is made in its own region.
func TestModuleCalls(t *testing.T) {
	root := load(t, ".")
	if got := slices.Sorted(maps.Keys(root.modules)); !slices.Equal(got, []string{"checkpoints", "eu", "us"}) {
		t.Fatalf("modules %v", got)
	}
	for name, call := range root.modules {
		m := load(t, source(t, call))
		for input := range m.variables {
			if call.Body.Attributes[input] == nil {
				t.Errorf("module %s: %s is not given", name, input)
			}
		}
		for given, a := range call.Body.Attributes {
			switch given {
			case "source", "count":
			case "providers":
				pairs, diags := hcl.ExprMap(a.Expr)
				if diags.HasErrors() || len(pairs) != 1 {
					t.Fatalf("module %s: providers %v", name, diags)
				}
				traversal, _ := hcl.AbsTraversalForExpr(pairs[0].Value)
				if traversal.RootName() != "aws" || step(traversal, 1) != name {
					t.Errorf("module %s: provider %s.%s", name, traversal.RootName(), step(traversal, 1))
				}
			default:
				if m.variables[given] == nil {
					t.Errorf("module %s has no variable %s", name, given)
				}
			}
		}
	}
}

func TestEverythingIsDescribed(t *testing.T) {
	for _, dir := range dirs {
		m := load(t, dir)
		for _, in := range []map[string]*hclsyntax.Block{m.variables, m.outputs} {
			for name, b := range in {
				if b.Body.Attributes["description"] == nil {
					t.Errorf("%s: %s has no description", dir, name)
				}
			}
		}
		for name, b := range m.variables {
			if b.Body.Attributes["type"] == nil {
				t.Errorf("%s: variable %s has no type", dir, name)
			}
		}
	}
}

// The modules and the root want the same Terraform and provider.
func TestVersions(t *testing.T) {
	for _, dir := range dirs {
		n := 0
		for _, body := range load(t, dir).bodies {
			for _, b := range body.Blocks {
				if b.Type != "terraform" {
					continue
				}
				n++
				i := evaluate(t, b.Body, nil)
				aws := i.blocks["required_providers"].args["aws"]
				if i.text("required_version") != ">= 1.9, < 2.0" || !aws.RawEquals(obj("source", "hashicorp/aws", "version", "~> 6.23")) {
					t.Errorf("%s: %v %#v", dir, i.text("required_version"), aws)
				}
			}
		}
		if n != 1 {
			t.Errorf("%s: %d blocks terraform", dir, n)
		}
	}
}

// The outputs say what the environment file says, and the addresses in words.
func TestOutputs(t *testing.T) {
	root := load(t, ".")
	ctx := root.scope(t, least(), nil)
	modules := map[string]cty.Value{}
	for _, which := range []string{"us", "eu"} {
		m, in := callRegion(t, which, least())
		values := map[string]cty.Value{}
		for name, b := range m.outputs {
			values[name] = value(t, b.Body.Attributes["value"].Expr, in)
		}
		modules[which] = cty.ObjectVal(values)
	}
	ctx.Variables["module"] = cty.ObjectVal(modules)
	got := map[string]string{}
	for name, b := range root.outputs {
		for which, v := range value(t, b.Body.Attributes["value"].Expr, ctx).AsValueMap() {
			if !v.Type().IsTupleType() && !v.Type().IsListType() {
				got[name+" "+which] = text(v)
				continue
			}
			for _, e := range v.AsValueSlice() {
				got[name+" "+which] += text(e) + "\n"
			}
		}
	}
	for name, want := range map[string]string{
		"egress_addresses us": "52.54.159.237\n52.73.143.252\n",
		"egress_addresses eu": "18.200.77.86\n99.81.30.178\n",
		"jiragate_egress us":  "52.54.159.237=10.0.1.10,52.73.143.252=10.0.1.11",
		"jiragate_egress eu":  "18.200.77.86=10.1.1.10,99.81.30.178=10.1.1.11",
		"egress_announce us":  "jiragate egress announce 52.54.159.237 --from DATE\njiragate egress announce 52.73.143.252 --from DATE\n",
		"proxy eu":            "https://10.1.1.10:8443",
		"session us":          "aws ssm start-session --region us-east-1 --target i-0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
